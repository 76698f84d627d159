"""What compose.yaml gives each process, with the addresses that the same processes have on this machine."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from cluster import compose_file
from cluster.layout import Layout
from cluster.members import DATABASE_SERVICES, DOORS

FILE = Layout.of().checkout / "compose.yaml"
LOOPBACK = "127.0.0.1"
ADDRESSES = {
    "postgres:5432": "POSTGRES_PORT",
    "rabbitmq:5672": "RABBITMQ_PORT",
    "rabbitmq-management:15672": "RABBITMQ_MANAGEMENT_PORT",
    "redis:6379": "REDIS_PORT",
    "s3:8333": "S3_PORT",
    "mail:1025": "SMTP_PORT",
    **{f"{service}-api:8000": f"{service.upper()}_PORT" for service in DATABASE_SERVICES},
    **{f"{service}-worker:8001": f"{service.upper()}_WORKER_PORT" for service in DATABASE_SERVICES},
}
_ADDRESS = re.compile(rf"(?<=[/@\"])(?:{'|'.join(map(re.escape, ADDRESSES))})(?=[/\",}}])")


@cache
def _text() -> str:
    return _ADDRESS.sub(lambda found: f"{LOOPBACK}:${{{ADDRESSES[found[0]]}}}", FILE.read_text())


def described(values: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return one service of compose.yaml, filled in and moved to this machine's addresses."""
    return compose_file.service(_text(), values, name)


def process_environment(values: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the variables of one process: `identity-api`, `consent-migrate`, `gateway`, `bootstrap`."""
    environment: dict[str, str] = described(values, name)["environment"]
    prefix = name.partition("-")[0].upper()
    listens = {"HOST": values[f"{prefix}_HOST"] if name in DOORS else LOOPBACK}
    listens |= {port: values.get(f"{prefix}_{port}", "") for port in ("PORT", "WORKER_PORT")}
    # What containers have mounted lies where it was mounted from.
    volumes = described(values, name.replace("-migrate", "-api")).get("volumes", ())
    mounted = {inside: outside for outside, inside, _ in (volume.split(":") for volume in volumes)}
    return {
        variable: listens.get(variable.removeprefix(f"{prefix}_"), mounted.get(value, value))
        for variable, value in environment.items()
    }


def service_environment(values: Mapping[str, str], service: str, *, migrates: bool = False) -> dict[str, str]:
    """Return the variables of a service; the owner roles' only for the process that migrates."""
    if service in DOORS:
        return process_environment(values, service)
    return process_environment(values, f"{service}-{'migrate' if migrates else 'api'}")
