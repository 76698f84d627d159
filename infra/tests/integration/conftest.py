import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from cluster.bootstrap import prepare_postgres
from support.servers import RunningServers


@pytest.fixture
def name() -> str:
    """Return a name for a database, vhost or bucket that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def prepared_database(servers: RunningServers, name: str) -> AsyncIterator[str]:
    """Prepare a database with all schemas, and one for the keys beside it; gives the name of the first."""
    keyring = f"{name}_keyring"
    await prepare_postgres(
        servers.postgres_dsn, servers.role_passwords, database=name, keyring_database=keyring
    )
    yield name
    admin = await asyncpg.connect(servers.postgres_dsn)
    for database in (name, keyring):
        await admin.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
    await admin.close()
