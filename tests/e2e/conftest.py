"""What only the tests on a whole cluster share: the mailbox of the people in them."""

import email
import email.policy
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from secrets import token_hex

import aiohttp
import pytest

from demo.client import App
from support import eventually


class Mailbox:
    """The development mailbox, in files or behind its pages, as the mode has it."""

    def __init__(self, maildir: Path | None, pages: str) -> None:
        self._maildir = maildir
        self._pages = pages

    async def to(self, address: str) -> list[EmailMessage]:
        """Return the mails to an address, the oldest first."""
        found = self._files() if self._maildir else await self._searched(address)
        return [mail for mail in found if address.lower() in str(mail["To"]).lower()]

    async def next_to(self, address: str, subject: str, *, seconds: float = 10) -> EmailMessage:
        """Wait for a mail whose subject has these words; return the latest."""

        async def arrived() -> EmailMessage:
            mails = [mail for mail in await self.to(address) if subject in str(mail["Subject"])]
            assert mails, f"no mail about {subject!r} yet"
            return mails[-1]

        return await eventually(arrived, seconds=seconds)

    def _files(self) -> list[EmailMessage]:
        assert self._maildir is not None
        paths = sorted((self._maildir / "new").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [_parsed(path.read_bytes()) for path in paths]

    async def _searched(self, address: str) -> list[EmailMessage]:
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            query = {"query": f"to:{address}", "limit": "100"}
            async with http.get(f"{self._pages}/api/v1/search", params=query) as answer:
                listed = (await answer.json())["messages"]
            mails = []
            for entry in reversed(listed):
                async with http.get(f"{self._pages}/api/v1/message/{entry['ID']}/raw") as raw:
                    mails.append(_parsed(await raw.read()))
            return mails


def _parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture
def mailbox(stage) -> Mailbox:
    """Return the mailbox of the cluster."""
    return Mailbox(stage.cluster.servers.maildir, f"http://127.0.0.1:{stage.values['MAIL_UI_PORT']}")


@pytest.fixture
async def officer(stage, new_app: Callable[[], App]) -> App:
    """Return the app of somebody who may operate the platform, signed in just now."""
    address, password = f"officer.{token_hex(4)}@example.com", "correct horse battery staple"
    made = stage.run(
        *(sys.executable, "-m", "cluster", "--directory", str(stage.cluster.layout.home)),
        *("operate", "identity", "create-admin", address),
        typed=f"{password}\n",
    )
    assert made.returncode == 0, made.stderr
    app = new_app()
    assert (await app.login(address, password)).status == 200
    return app
