"""One person, one mailbox, one password or one slow line can't hurt anybody else."""

import asyncio
import contextlib
import json
import secrets
import socket
import ssl
import time
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from support import eventually

PASSWORD = "seven blue irises"
# What a strength estimator that tries every way to read "leetspeak" needs seconds for.
COSTLY_PASSWORD = "4a@b8c({[<e3g69i1!|l7o0s$5t+x%z24a@b8c({[<e3g69i1!|l7o0s$5t+x%z24a@b8c({"
AT_ONCE = 16
PATIENT_SECONDS = 2.0
"""How long anybody may wait because of somebody else; it has margins for a busy machine."""


def _address() -> str:
    return f"{secrets.token_hex(6)}@example.com"


@pytest.mark.parametrize("names", [("straße", "strasse"), ("faß", "fass")])
async def test_two_mailboxes_are_two_accounts(new_app, names) -> None:
    suffix = secrets.token_hex(4)
    for name in names:
        assert (await new_app().register(f"anna@{name}-{suffix}.example", PASSWORD)).status == 201


async def test_one_mailbox_is_one_account_however_it_is_spelled(new_app) -> None:
    name = secrets.token_hex(4)
    assert (await new_app().register(f"eva@müller-{name}.example", PASSWORD)).status == 201
    ascii_domain = f"müller-{name}".encode("punycode").decode()
    again = await new_app().register(f"eva@xn--{ascii_domain}.example", PASSWORD)
    assert (again.status, again.problem) == (409, "email-taken")


@pytest.mark.parametrize("letter", ["\uff41", "\u212a", "\ufb01"])
async def test_address_with_a_look_alike_letter_squats_nothing(new_app, letter) -> None:
    refused = await new_app().register(f"{letter}{secrets.token_hex(4)}@example.com", PASSWORD)
    assert (refused.status, refused.problem) == (422, "invalid-request")


async def test_mails_that_nobody_can_deliver_hold_up_nobody_elses(new_app, mailbox) -> None:
    unsendable = [f"\u03b1{number}{secrets.token_hex(4)}@example.com" for number in range(20)]
    await asyncio.gather(*(new_app().register(address, PASSWORD) for address in unsendable))

    sendable = _address()
    assert (await new_app().register(sendable, PASSWORD)).status == 201
    await mailbox.next_to(sendable, "Confirm", seconds=PATIENT_SECONDS)


async def test_password_that_is_costly_to_judge_costs_nobody_else_time(person, new_app) -> None:
    costly = asyncio.create_task(new_app().register(_address(), COSTLY_PASSWORD))
    began = time.monotonic()
    answer = await new_app().login(person.email, PASSWORD)
    took = time.monotonic() - began

    assert (answer.status, took < PATIENT_SECONDS) == (200, True), took
    assert (await costly).status in {201, 422}


async def test_thief_and_owner_of_a_refresh_token_are_found_out_when_they_alternate(person, new_app) -> None:
    thief, stolen = new_app(), person.app.refresh_token
    assert (await person.app.refresh()).status == 200
    assert (await person.app.me()).status == 200

    async def found_out() -> None:
        assert (await thief.refresh(stolen)).status == 401

    # For ten seconds a repeat could be the twin of a request that was under way.
    await eventually(found_out, seconds=30)
    assert (await person.app.refresh()).status == 401
    assert (await person.app.me()).status == 401


class SlowUpload:
    """A connection that sends a few bytes of a picture, and then nothing."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._writer: asyncio.StreamWriter | None = None

    async def begin(self, announced: int) -> None:
        """Send the head of the request and four bytes of its body."""
        host, port = self._url.hostname or "", self._url.port or 80
        _, self._writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
        target = f"{self._url.path}?{self._url.query}"
        head = (
            f"PUT {target} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Type: image/jpeg\r\nContent-Length: {announced}\r\n\r\n"
        )
        self._writer.write(head.encode() + b"\xff\xd8\xff\xe0")
        await self._writer.drain()

    async def end(self) -> None:
        """Leave."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await self._writer.wait_closed()


async def test_slow_uploads_of_one_person_keep_nobody_else_from_uploading(new_person, small_jpeg) -> None:
    attacker, victim = await new_person(), await new_person()
    await attacker.agree()
    await victim.agree()
    links = [(await attacker.app.ask_to_upload()).document["upload_url"] for _ in range(AT_ONCE)]
    slow = [SlowUpload(link) for link in links]
    try:
        await asyncio.gather(*(upload.begin(1_000_000) for upload in slow))
        began = time.monotonic()
        await victim.take_picture(small_jpeg)
        assert time.monotonic() - began < PATIENT_SECONDS
    finally:
        await asyncio.gather(*(upload.end() for upload in slow))


async def test_device_in_illinois_can_not_choose_a_weaker_law(person, new_app) -> None:
    weaker = (await new_app().jurisdiction(country_code="NZ")).document
    body = {
        "consent_type": "biometric_capture",
        "jurisdiction": weaker["jurisdiction"],
        "consent_text_version": weaker["consent_text_version"],
        "country_code": "US",
        "state_code": "IL",
    }
    refused = await person.app.call("POST", "/privacy/consent", json=body)

    assert refused.status == 409
    assert "bipa" in json.dumps(refused.document).lower()
    assert (await person.app.ask_to_upload()).problem == "consent-required"


async def test_confirming_asks_whether_the_consent_is_still_there(new_person, small_jpeg) -> None:
    person = await new_person()
    consent = await person.agree()
    link = (await person.app.ask_to_upload()).document
    assert (await person.app.put(link["upload_url"], small_jpeg)).status == 200
    assert (await person.app.withdraw(consent)).status == 200

    confirmed = await person.app.confirm(link["photo_id"], file_size=len(small_jpeg), width=1, height=1)
    assert confirmed.status in {403, 404}


async def test_wrong_token_of_an_upload_says_nothing_about_the_photo(new_person) -> None:
    person = await new_person()
    await person.agree()
    link = urlsplit((await person.app.ask_to_upload()).document["upload_url"])
    known = link.path.split("/")[-2]
    base = f"{link.scheme}://{link.netloc}"
    wrong = "&".join(
        f"{part.split('=')[0]}={'A' * 43}" if part.startswith("token=") else part
        for part in link.query.split("&")
    )

    answers = [
        await person.app.put(f"{base}{link.path.replace(known, photo)}?{wrong}", b"\xff\xd8\xff")
        for photo in (known, str(uuid4()))
    ]
    assert {(answer.status, answer.problem) for answer in answers} == {
        (answers[0].status, answers[0].problem)
    }


async def test_token_in_a_trailer_is_no_token(stage, person) -> None:
    url = urlsplit(stage.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, family=socket.AF_INET)
    writer.write(
        (
            f"GET /api/v1/users/me HTTP/1.1\r\nHost: {url.netloc}\r\nTransfer-Encoding: chunked\r\n"
            f"Connection: close\r\n\r\n0\r\nAuthorization: Bearer {person.app.access_token}\r\n\r\n"
        ).encode()
    )
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert status.split()[1] in {b"400", b"401"}
