"""A process holds in memory only what its kind needs, and starts without the rest.

A process of Python starts here and becomes an API or a worker, without its servers; what it has imported by
then is compared with what it must not have imported.
"""

import subprocess
import sys

import pytest

from cluster.members import DATABASE_SERVICES as STATEFUL

BROKER = {"faststream", "aio_pika", "chassis.broker", "chassis.consumer", "chassis.relay", "chassis.worker"}
MIGRATIONS = {"alembic", "mako"}
# The decoders, which only the sandbox runs; what structlog would load for coloured tracebacks.
NEVER = MIGRATIONS | {"PIL", "mozjpeg_lossless_optimization", "pi_heif", "rich"}
NOT_IN = {
    "api": NEVER | BROKER,
    "worker": NEVER
    | {"fastapi", "chassis.idempotency", "zxcvbn"}
    | {f"{service}.api" for service in STATEFUL},
    "gateway": NEVER | BROKER | {"sqlalchemy", "asyncpg", "aioboto3", "botocore"},
}
BECOME = {
    "api": "service.install(service.create_api(anything), anything)",
    "worker": "service.create_worker(anything)",
}
SERVICE = """
import sys
from chassis.startup import quick_imports

with quick_imports():
    from {service}.main import {name} as service
    import {service}.__main__
    from chassis.db import Database
    from pydantic import SecretStr

class Anything(float):
    version = "1"
    # It connects at its first use.
    database = Database(
        SecretStr("postgresql://nobody@localhost/none"), schema="{service}", tombstone_key=bytes(32)
    )
    def __getattr__(self, name): return self
    def __call__(self, *_, **__): return self
    def __iter__(self): return iter(())

anything = Anything()
{become}
print(*(name for name, module in sys.modules.items() if module is not None))
"""
GATEWAY = """
import sys
import gateway.__main__
print(*(name for name, module in sys.modules.items() if module is not None))
"""


def imported(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.architecture
@pytest.mark.parametrize("kind", BECOME)
@pytest.mark.parametrize("service", STATEFUL)
def test_api_and_worker_import_nothing_of_each_other(service: str, kind: str) -> None:
    found = imported(SERVICE.format(service=service, name=service.upper(), become=BECOME[kind]))

    assert f"{service}.main" in found
    assert found & NOT_IN[kind] == set()


@pytest.mark.architecture
def test_gateway_imports_no_database_and_no_broker() -> None:
    assert imported(GATEWAY) & NOT_IN["gateway"] == set()
