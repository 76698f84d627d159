"""How each part of a cluster is asked whether it is ready; the published ports are the same in both modes."""

from collections.abc import Mapping
from functools import partial

from cluster import readiness
from cluster.environment import ADMIN, published
from cluster.members import DATABASE_SERVICES, DOORS
from cluster.readiness import Check

EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound


def server_checks(values: Mapping[str, str]) -> dict[str, Check]:
    """Return one check per server, by name."""
    network = published(values)
    dsn = f"postgresql://{ADMIN}:{values['POSTGRES_ADMIN_PASSWORD']}@{network.postgres}/postgres"
    alarms = f"http://{network.management}/api/health/checks/local-alarms"
    login = (ADMIN, values["RABBITMQ_ADMIN_PASSWORD"])
    redis = ("127.0.0.1", int(values["REDIS_PORT"]), ADMIN, values["REDIS_ADMIN_PASSWORD"])
    return {
        "rabbitmq": partial(readiness.http_answers, alarms, login=login),
        "postgres": partial(readiness.postgres_answers, dsn),
        "s3": partial(readiness.http_answers, f"http://{network.s3}/healthz"),
        "redis": partial(readiness.redis_answers, *redis),
        "mail": partial(readiness.port_answers, "127.0.0.1", int(values["SMTP_PORT"])),
    }


def service_checks(values: Mapping[str, str]) -> dict[str, Check]:
    """Return one check per process of our services, by name."""
    host = values["GATEWAY_HOST"]
    reached = "127.0.0.1" if host in EVERY_ADDRESS else host
    addresses = {door: f"{reached}:{values[f'{door.upper()}_PORT']}" for door in DOORS}
    for service in DATABASE_SERVICES:
        addresses[f"{service}-api"] = f"127.0.0.1:{values[f'{service.upper()}_PORT']}"
        addresses[f"{service}-worker"] = f"127.0.0.1:{values[f'{service.upper()}_WORKER_PORT']}"
    return {
        name: partial(readiness.http_answers, f"http://{address}/health/readiness")
        for name, address in addresses.items()
    }
