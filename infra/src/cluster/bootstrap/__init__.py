"""The one job that prepares PostgreSQL, RabbitMQ and S3 for the services; each part works alone too."""

import asyncio
from collections.abc import Mapping

import asyncpg

from cluster.bootstrap.postgres import BACKUP_ROLE, prepare_postgres, schemas
from cluster.bootstrap.rabbitmq import prepare_rabbitmq
from cluster.bootstrap.s3 import JOURNAL_DAYS, prepare_bucket
from cluster.environment import (
    ADMIN,
    DATABASE,
    KEYRING_DATABASE,
    REGION,
    VHOST,
    bucket_of,
    role_password,
)
from cluster.errors import ClusterError
from cluster.members import DATABASE_SERVICES, STORING_SERVICES
from cluster.strength import refuse_weak
from contracts.registry import JOURNAL_BUCKET, MEMBERS

__all__ = ["Bootstrap", "prepare_bucket", "prepare_postgres", "prepare_rabbitmq", "schemas"]


SECRETS = ("_PASSWORD", "_KEY")


class Bootstrap:
    """The job, with the variables that compose.yaml gives it: addresses of servers, and their passwords."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._values = environment

    async def run(self) -> None:
        """Prepare all three, side by side; in production weak secrets are a ClusterError."""
        refuse_weak(self._values, [name for name in self._values if name.endswith(SECRETS)])
        # Each has its say: with the data of another `.env`, every server refuses.
        parts = await asyncio.gather(self.postgres(), self.rabbitmq(), self.s3(), return_exceptions=True)
        for failure in (it for it in parts if it is not None and not isinstance(it, ClusterError)):
            raise failure
        if refusals := [str(it) for it in parts if it is not None]:
            raise ClusterError("\n".join(refusals))

    async def postgres(self) -> None:
        """Prepare roles, databases and schemas."""
        roles = [role for schema in schemas() for role in (schema.owner, schema.app)]
        password = self._values["POSTGRES_ADMIN_PASSWORD"]
        try:
            await prepare_postgres(
                f"postgresql://{ADMIN}:{password}@{self._values['POSTGRES_ADDRESS']}/postgres",
                {role: role_password(self._values, role) for role in (*roles, BACKUP_ROLE)},
                database=DATABASE,
                keyring_database=KEYRING_DATABASE,
            )
        except asyncpg.InvalidPasswordError as error:
            raise ClusterError(
                "PostgreSQL refuses POSTGRES_ADMIN_PASSWORD: its data was made with another .env. Put that "
                "one back, or let `make reset` delete everything."
            ) from error

    async def rabbitmq(self) -> None:
        """Prepare users, exchanges, queues, bindings and policies."""
        await prepare_rabbitmq(
            f"http://{self._values['RABBITMQ_MANAGEMENT_ADDRESS']}",
            (ADMIN, self._values["RABBITMQ_ADMIN_PASSWORD"]),
            {service: self._values[f"{service.upper()}_BROKER_PASSWORD"] for service in DATABASE_SERVICES},
            vhost=VHOST,
        )

    async def s3(self) -> None:
        """Prepare the buckets."""
        store = f"http://{self._values['S3_ADDRESS']}"
        admin = (self._values["S3_ADMIN_ACCESS_KEY"], self._values["S3_ADMIN_SECRET_KEY"])
        for service in STORING_SERVICES:
            await prepare_bucket(
                store,
                admin,
                bucket=bucket_of(self._values, service),
                keeps_versions=MEMBERS[service].keeps_versions,
                region=REGION,
            )
        await prepare_bucket(store, admin, bucket=JOURNAL_BUCKET, locks_for_days=JOURNAL_DAYS, region=REGION)
