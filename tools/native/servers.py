"""The servers of one native cluster, as `.env` describes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster.environment import ADMIN, bucket_of
from cluster.redis_users import access_list
from native.mail import MailServer
from native.postgres import PostgresServer
from native.programs import Program
from native.rabbitmq import RabbitPorts, RabbitServer
from native.redis import RedisServer
from native.s3 import S3Ports, S3Server, s3_keys


class Server(Protocol):
    """What all servers have in common."""

    @property
    def name(self) -> str:
        """Name of its last program."""

    def prepare(self, mark: str, /) -> None:
        """Write configuration and data directories; harmless when repeated, helpers carry `mark`."""

    def programs(self, mark: str) -> tuple[Program, ...]:
        """Its processes, in the order in which they start, marked as belonging to `mark`."""


@dataclass(frozen=True)
class Servers:
    """Rabbit stands first because it takes the longest to start."""

    rabbitmq: RabbitServer
    postgres: PostgresServer
    s3: S3Server
    redis: RedisServer
    mail: MailServer

    def all(self) -> tuple[Server, ...]:
        """In the order in which they are started."""
        return (self.rabbitmq, self.postgres, self.s3, self.redis, self.mail)


def servers_of(
    values: Mapping[str, str], directory: Path, sockets: Path, *, tag: str, durable: bool = True
) -> Servers:
    """Return the servers that `values` describe, with their data under `directory`.

    Without `durable` nothing is flushed to the disk: for tests, which throw the data away.
    """

    def port(name: str) -> int:
        return int(values[f"{name}_PORT"])

    return Servers(
        rabbitmq=RabbitServer(
            directory / "rabbitmq",
            _rabbit_ports(port),
            ADMIN,
            values["RABBITMQ_ADMIN_PASSWORD"],
            values["RABBITMQ_COOKIE"],
        ),
        postgres=PostgresServer(
            directory / "postgres",
            port("POSTGRES"),
            ADMIN,
            values["POSTGRES_ADMIN_PASSWORD"],
            tag=tag,
            durable=durable,
        ),
        s3=S3Server(directory / "s3", sockets, _s3_ports(port), s3_keys(values), bucket_of(values)),
        redis=RedisServer(directory / "redis", port("REDIS"), access_list(values), durable=durable),
        mail=MailServer(directory / "mail" / "Maildir", port("SMTP")),
    )


def _rabbit_ports(port: Callable[[str], int]) -> RabbitPorts:
    return RabbitPorts(
        amqp=port("RABBITMQ"),
        management=port("RABBITMQ_MANAGEMENT"),
        prometheus=port("RABBITMQ_PROMETHEUS"),
        distribution=port("RABBITMQ_DISTRIBUTION"),
        epmd=port("EPMD"),
    )


def _s3_ports(port: Callable[[str], int]) -> S3Ports:
    return S3Ports(
        s3=port("S3"),
        master=port("S3_MASTER"),
        volume=port("S3_VOLUME"),
        filer=port("S3_FILER"),
    )
