"""The servers that tests talk to, however they were started."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.bootstrap import schemas
from cluster.bootstrap.postgres import BACKUP_ROLE
from cluster.environment import ADMIN, Network, database_url, published, redis_url, role_password
from cluster.members import DATABASE_SERVICES


@dataclass(frozen=True)
class RunningServers:
    """Real servers of one test session; tests make databases, vhosts and buckets of their own on them.

    `values` are the variables of a `.env`.
    """

    values: Mapping[str, str] = field(repr=False)
    maildir: Path | None = None

    @property
    def network(self) -> Network:
        """Where each server listens."""
        return published(self.values)

    @property
    def postgres_dsn(self) -> str:
        """The superuser, to the maintenance database; for asyncpg and prepare_postgres."""
        return (
            f"postgresql://{ADMIN}:{self.values['POSTGRES_ADMIN_PASSWORD']}@{self.network.postgres}/postgres"
        )

    @property
    def role_passwords(self) -> dict[str, str]:
        """The password of each database role, for prepare_postgres."""
        roles = (role for schema in schemas() for role in (schema.owner, schema.app))
        return {role: role_password(self.values, role) for role in (*roles, BACKUP_ROLE)}

    def database_url(self, role: str, database: str) -> str:
        """Return the SQLAlchemy URL of one role and database."""
        return database_url(self.values, role, database)

    @property
    def management_url(self) -> str:
        """RabbitMQ's management API, without credentials."""
        return f"http://{self.network.management}"

    @property
    def rabbitmq_admin(self) -> tuple[str, str]:
        """User and password that may do everything on the broker."""
        return ADMIN, self.values["RABBITMQ_ADMIN_PASSWORD"]

    @property
    def broker_passwords(self) -> dict[str, str]:
        """The password of each service's broker user, for prepare_rabbitmq."""
        return {service: self.values[f"{service.upper()}_BROKER_PASSWORD"] for service in DATABASE_SERVICES}

    def broker_url(self, user: str, vhost: str) -> str:
        """Return the AMQP URL of a service, or of the admin for user `irisvue_admin`."""
        password = (self.broker_passwords | dict([self.rabbitmq_admin]))[user]
        return f"amqp://{user}:{password}@{self.network.amqp}/{vhost}?heartbeat=10"

    @property
    def redis_url(self) -> str:
        """Database 0, as the user who may do everything."""
        return redis_url(self.values, ADMIN)

    def redis_url_of(self, service: str) -> str:
        """Return database 0 as one service reaches it."""
        return redis_url(self.values, service)

    @property
    def s3_endpoint(self) -> str:
        """The S3 API."""
        return f"http://{self.network.s3}"

    @property
    def s3_admin(self) -> tuple[str, str]:
        """Access key and secret key of the identity that may create and use any bucket."""
        return self.values["S3_ADMIN_ACCESS_KEY"], self.values["S3_ADMIN_SECRET_KEY"]

    @property
    def s3_storage(self) -> tuple[str, str]:
        """Access key and secret key of storage's identity, which reaches only the bucket irisvue-photos."""
        return self.values["STORAGE_S3_ACCESS_KEY"], self.values["STORAGE_S3_SECRET_KEY"]

    @property
    def s3_consent(self) -> tuple[str, str]:
        """Access key and secret key of consent's identity, which only adds to the bucket irisvue-ledger."""
        return self.values["CONSENT_S3_ACCESS_KEY"], self.values["CONSENT_S3_SECRET_KEY"]

    @property
    def s3_journal(self) -> tuple[str, str]:
        """Access key and secret key of the workers' identity, which only adds to the erasure journal."""
        return self.values["ERASURE_JOURNAL_ACCESS_KEY"], self.values["ERASURE_JOURNAL_SECRET_KEY"]

    @property
    def smtp_url(self) -> str:
        """The mailbox for development."""
        return f"smtp://{self.network.smtp}"
