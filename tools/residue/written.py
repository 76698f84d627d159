"""Every line of every log, and every mail of the development mailbox."""

import email
import email.policy
from collections.abc import AsyncIterator, Iterable
from email.utils import getaddresses
from pathlib import Path

import aiohttp

from residue.canaries import Canaries
from residue.searched import Searched

PAGE = 250


def search_logs(logs: Iterable[tuple[str, bytes]], canaries: Canaries) -> list[Searched]:
    """Search logs, each a name and its text."""
    places = []
    for name, text in logs:
        place = Searched("log", name)
        place.look_at_lines(canaries, text)
        places.append(place)
    return places


async def search_mailbox(
    mails: AsyncIterator[bytes], canaries: Canaries, *, recipients: Iterable[str]
) -> Searched:
    """Search headers and decoded bodies of every mail.

    One to one of the `recipients` is theirs, wherever their mailbox is, and no platform's to erase: it counts
    as kept. Whatever a mail to anybody else says of them is a trace.
    """
    own = {address.lower() for address in recipients}
    place = Searched("mailbox", "development mailbox")
    async for raw in mails:
        to_them = Searched("mail", "")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        bodies = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        to_them.look_at(canaries, raw, *(body for body in bodies if isinstance(body, bytes)))
        place.looked_at += 1
        place.size += len(raw)
        addressed = {address.lower() for _, address in getaddresses(message.get_all("To", []))}
        if to_them.found and addressed and addressed <= own:
            place.kept += 1
        elif to_them.found:
            place.found += 1
            place.labels |= to_them.labels
    return place


async def mails_in_files(maildir: Path) -> AsyncIterator[bytes]:
    """Yield the mails that the native mode's mailbox keeps as files."""
    for folder in ("new", "cur"):
        for file in sorted((maildir / folder).glob("*")):
            yield file.read_bytes()


async def mails_behind_pages(port: str) -> AsyncIterator[bytes]:
    """Yield the mails that the containers' mailbox (Mailpit) has."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", raise_for_status=True) as http:
        start = 0
        listed: list[dict[str, str]] = [{}]
        while listed:
            query = {"start": str(start), "limit": str(PAGE)}
            async with http.get("/api/v1/messages", params=query) as answer:
                listed = (await answer.json())["messages"]
            start += len(listed)
            for entry in listed:
                async with http.get(f"/api/v1/message/{entry['ID']}/raw") as raw:
                    yield await raw.read()
