"""The bootstrap job on a real PostgreSQL."""

from cluster.bootstrap import prepare_bucket, prepare_postgres, prepare_rabbitmq
from cluster.testing import RunningServers


async def test_servers_start(servers: RunningServers) -> None:
    for _ in range(2):
        await prepare_postgres(servers.postgres_dsn, servers.role_passwords)
        await prepare_rabbitmq(servers.management_url, servers.rabbitmq_admin, servers.broker_passwords)
        await prepare_bucket(servers.s3_endpoint, servers.s3_admin)
