"""Where the servers of a cluster are, and as whom they are reached."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.registry import MEMBERS

BUCKET = next(it.bucket for it in MEMBERS.values() if it.bucket and not it.keeps_versions)
"""Where people's objects lie: what is deleted there is gone."""

REGION = "us-east-1"
DATABASE = "irisvue"
KEYRING_DATABASE = "keyring"
VHOST = "irisvue"
ADMIN = "irisvue_admin"


@dataclass(frozen=True)
class Network:
    """`host:port` of every server."""

    postgres: str
    amqp: str
    management: str
    redis: str
    s3: str
    smtp: str


def published(values: Mapping[str, str]) -> Network:
    """Return where this machine reaches the servers; the ports are the same in both modes."""
    names = ("POSTGRES", "RABBITMQ", "RABBITMQ_MANAGEMENT", "REDIS", "S3", "SMTP")
    return Network(*(f"127.0.0.1:{values[f'{name}_PORT']}" for name in names))


def database_url(values: Mapping[str, str], role: str, database: str) -> str:
    """Return the SQLAlchemy URL of one role, on this machine."""
    return (
        f"postgresql+asyncpg://{role}:{role_password(values, role)}@{published(values).postgres}/{database}"
    )


def redis_url(values: Mapping[str, str], user: str) -> str:
    """Return the URL of Redis' database 0 for a service, or for the admin for `irisvue_admin`."""
    name = "ADMIN" if user == ADMIN else user.upper()
    return f"redis://{user}:{values[f'REDIS_{name}_PASSWORD']}@{published(values).redis}/0"


def bucket_of(values: Mapping[str, str], service: str) -> str:
    """Return the name of a service's bucket."""
    return values.get(f"{service.upper()}_S3_BUCKET", "") or MEMBERS[service].bucket


def role_password(values: Mapping[str, str], role: str) -> str:
    """Return the password of `<schema>_owner` or `<schema>_app`."""
    return values[f"{role.upper()}_PASSWORD"]
