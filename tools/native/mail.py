"""A mailbox for development: accepts every message and keeps it as a file in a Maildir."""

import sys
from dataclasses import dataclass
from pathlib import Path

from native.programs import MARKER, Program


@dataclass(frozen=True)
class MailServer:
    """SMTP on the loopback interface; read `directory` with mailbox.Maildir."""

    directory: Path
    port: int

    name = "mail"

    def prepare(self, _mark: str) -> None:
        """Make sure that the Maildir's parent exists."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)

    def programs(self, mark: str) -> tuple[Program, ...]:
        """Return the SMTP server."""
        handler = ("-c", "aiosmtpd.handlers.Mailbox", str(self.directory))
        return (
            Program(
                name=self.name,
                command=(sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{self.port}", *handler),
                directory=self.directory.parent,
                environment={MARKER: mark},
                ports={"SMTP_PORT": self.port},
            ),
        )
