"""The servers of one native cluster, as `.env` and compose.yaml describe them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from native.environment import described
from native.mail import MailServer
from native.postgres import PostgresServer
from native.programs import Program
from native.rabbitmq import RabbitServer
from native.redis import RedisServer
from native.s3 import S3Server


class Server(Protocol):
    """What all servers have in common."""

    @property
    def name(self) -> str:
        """Name of its last program."""

    def prepare(self) -> None:
        """Write configuration and data directories; harmless when repeated."""

    def programs(self) -> tuple[Program, ...]:
        """Its processes, in the order in which they start."""


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
    store, counters = (described(values, name)["environment"] for name in ("s3", "redis"))
    options = tuple(described(values, "postgres")["command"][1:])
    return Servers(
        rabbitmq=RabbitServer(directory / "rabbitmq", values),
        postgres=PostgresServer(directory / "postgres", values, options, tag=tag, durable=durable),
        s3=S3Server(directory / "s3", sockets, values, store),
        redis=RedisServer(directory / "redis", values, counters["USERS"], durable=durable),
        mail=MailServer(directory / "mail" / "Maildir", values),
    )
