"""A mailbox for development: accepts every message and keeps it as a file in a Maildir."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from native.programs import Program, ports_of


@dataclass(frozen=True)
class MailServer:
    """SMTP on the loopback interface; read `directory` with mailbox.Maildir."""

    directory: Path
    values: Mapping[str, str] = field(repr=False)

    name = "mail"

    def prepare(self) -> None:
        """Make sure that the Maildir's parent exists."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)

    def programs(self) -> tuple[Program, ...]:
        """Return the SMTP server."""
        port = self.values["SMTP_PORT"]
        handler = ("-c", "aiosmtpd.handlers.Mailbox", str(self.directory))
        return (
            Program(
                name=self.name,
                command=(sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", *handler),
                directory=self.directory.parent,
                ports=ports_of(self.values, "SMTP_PORT"),
            ),
        )
