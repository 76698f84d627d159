"""Processors outside of the platform are asked, with signed requests, until they have reported."""

import base64
import hashlib
import json
import re
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwt import PyJWK
from sqlalchemy import func, update

from identity.erasure.processors import Processor
from identity.main import processor_delivery
from identity.repositories import PROCESSOR_REQUESTS
from identity.use_cases.erasure.end_hold import end_hold
from identity.use_cases.erasure.place_hold import NewHold, place_hold
from identity.wiring import open_service


def _lower(headers):
    return {name.lower(): value for name, value in headers.items()}


class MailHouse:
    """A processor that holds data of people for us; the test decides what it answers."""

    def __init__(self):
        self.asked = []
        self.answer = lambda: web.json_response({"erased": {"letters": 3}})
        self.url = ""

    async def handle(self, request):
        self.asked.append((request.method, str(request.url), _lower(request.headers), await request.read()))
        return self.answer()


@pytest.fixture
async def mailhouse():
    processor = MailHouse()
    application = web.Application()
    application.router.add_post("/erasures", processor.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    processor.url = f"http://127.0.0.1:{runner.addresses[0][1]}/erasures?of=irisvue"
    yield processor
    await runner.cleanup()


@pytest.fixture
async def service(platform, settings, clock, mailhouse):
    await platform.clean("identity")
    await platform.forget_counts()
    named = (Processor(name="mailhouse", url=mailhouse.url),)
    async with open_service(settings.model_copy(update={"processors": named}), clock) as opened:
        await opened.load_keys()
        yield opened


@pytest.fixture
def ask(service):
    """Return a function that asks every processor that is due, as though time had passed."""

    async def due_now():
        async with service.unit_of_work() as uow:
            await uow.session.execute(
                update(PROCESSOR_REQUESTS).values(next_attempt_at=func.clock_timestamp())
            )
        return await processor_delivery(service).work_once()

    return due_now


async def status_of(client, deletion):
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}"
    answer = await client.get(path, headers={"X-Erasure-Token": deletion["status_token"]})
    return {part["service"]: part for part in answer.json()["participants"]}, answer.json()["status"]


async def rows(service):
    async with service.database.read_only() as session:
        return (await session.execute(PROCESSOR_REQUESTS.select())).all()


async def test_an_erasure_waits_for_the_report_of_a_processor(
    client, service, deletion, report, ask, mailhouse
):
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    parts, status = await status_of(client, deletion)
    assert (parts["mailhouse"]["status"], status) == ("waiting", "in_progress")

    assert await ask() == 1
    parts, status = await status_of(client, deletion)
    assert (parts["mailhouse"]["erased"], status) == ({"letters": 3}, "completed")
    certificate = await client.get(
        f"/api/v1/privacy/erasures/{deletion['erasure_id']}/certificate",
        headers={"X-Erasure-Token": deletion["status_token"], "Accept": "application/json"},
    )
    assert "mailhouse" in certificate.text
    (row,) = await rows(service)
    assert row.user_id is None
    assert await ask() == 0


async def test_a_request_says_whom_it_is_about_and_is_signed(client, ada, deletion, ask, mailhouse):
    await ask()
    ((method, url, headers, body),) = mailhouse.asked
    told = json.loads(body)
    assert (told["user_id"], told["erasure_id"]) == (ada.user_id, deletion["erasure_id"])
    assert (method, url) == ("POST", mailhouse.url)

    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert headers["content-digest"] == f"sha-256=:{digest}:"
    label, parameters = headers["signature-input"].split("=", 1)
    signature = base64.b64decode(headers["signature"].removeprefix(f"{label}=:").removesuffix(":"))
    # As RFC 9421 §2.5 puts it together, from what has arrived.
    values = {"@method": method, "@target-uri": url, **headers}
    covered = re.findall(r'"([^"]+)"', parameters.partition(")")[0])
    base = [f'"{name}": {values[name]}' for name in covered] + [f'"@signature-params": {parameters}']
    keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
    (kid,) = re.findall(r'keyid="([^"]+)"', parameters)
    key = PyJWK(next(key for key in keys if key["kid"] == kid)).key
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    key.verify(encode_dss_signature(r, s), "\n".join(base).encode(), ECDSA(SHA256()))
    assert {"@method", "@target-uri", "content-digest"} <= set(covered)


NOT_DONE = {
    "accepted": (lambda: web.Response(status=202), "has accepted it and not reported yet"),
    "fails": (lambda: web.Response(status=500), "answered 500"),
    "moved": (lambda: web.Response(status=307, headers={"Location": "/elsewhere"}), "answered 307"),
    "says nothing": (lambda: web.Response(status=200), "answered 200 without a report"),
    "says something else": (
        lambda: web.json_response({"erased": {"Ada Lovelace": 1}}),
        "answered 200 without a report",
    ),
    "says too much": (lambda: web.Response(body=b"x" * 70_000), "answered 200 without a report"),
}


@pytest.mark.parametrize(("answer", "noted"), NOT_DONE.values(), ids=NOT_DONE)
async def test_a_processor_is_asked_again_until_it_has_reported(
    client, service, deletion, ask, mailhouse, answer, noted
):
    mailhouse.answer, good = answer, mailhouse.answer
    assert await ask() == 1
    (row,) = await rows(service)
    assert (row.attempts, row.last_error) == (1, noted)
    assert (await status_of(client, deletion))[0]["mailhouse"]["status"] == "waiting"
    mailhouse.answer = good
    assert await ask() == 1
    assert (await status_of(client, deletion))[0]["mailhouse"]["status"] == "completed"
    bodies = {body for *_, body in mailhouse.asked}
    assert len(bodies) == 1


async def test_a_processor_that_is_away_is_asked_again(service, settings, deletion, ask, mailhouse):
    mailhouse.answer = lambda: web.Response(status=503)
    for attempts in (1, 2, 3):
        assert await ask() == 1
        (row,) = await rows(service)
        assert row.attempts == attempts


@pytest.mark.parametrize(
    ("name", "url"),
    [("storage", "https://a.example"), ("Mail House", "https://a.example"), ("mailhouse", "a.example")],
)
def test_a_processor_has_a_name_of_its_own_and_an_address(name, url):
    with pytest.raises(ValueError, match=r"name|url"):
        Processor(name=name, url=url)


@pytest.fixture
def hold(service, deletion, clock):
    """Return a function that has storage's photos of the person held for some days; it returns the hold."""

    async def _hold(days=90, code="eu-gdpr:A17-3-e"):
        return await place_hold(
            service.database,
            None,
            subject=UUID(deletion["erasure_id"]),
            wanted=NewHold(
                service="storage",
                kind="photos",
                record=None,
                code=code,
                legal_reference="Article 17(3)(e) GDPR",
                approver="Grace",
                expires_at=clock.now() + timedelta(days=days),
            ),
            rules=service.rules,
        )

    return _hold


async def test_a_processor_is_told_what_is_held_and_asked_again_when_that_ends(
    client, service, deletion, report, ask, mailhouse, hold
):
    placed = await hold()
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    mailhouse.answer, all_gone = (
        lambda: web.json_response({"erased": {"letters": 2}, "held": {"letters": 1}}),
        mailhouse.answer,
    )
    assert await ask() == 1
    told = json.loads(mailhouse.asked[-1][3])["holds"]
    assert told == [
        {
            "hold_id": str(placed.id),
            "service": "storage",
            "kind": "photos",
            "record": None,
            "code": "eu-gdpr:A17-3-e",
            "expires_at": placed.expires_at.isoformat(),
        }
    ]
    parts, status = await status_of(client, deletion)
    assert (parts["mailhouse"]["status"], parts["mailhouse"]["held"], status) == (
        "partial",
        {"letters": 1},
        "partial",
    )
    (row,) = await rows(service)
    assert (row.next_attempt_at, row.settled_at, row.attempts) == (placed.expires_at, None, 0)
    async with service.unit_of_work() as uow:
        assert await end_hold(uow, placed.id, rules=service.rules, released_by="Grace", reason="closed")
    parts, status = await status_of(client, deletion)
    assert (parts["mailhouse"]["status"], status) == ("waiting", "in_progress")
    mailhouse.answer = all_gone
    # Nobody has moved its time: the end of the hold did.
    assert await processor_delivery(service).work_once() == 1
    assert json.loads(mailhouse.asked[-1][3])["holds"] == []
    parts, status = await status_of(client, deletion)
    assert (parts["mailhouse"]["status"], status) == ("completed", "completed")


async def test_a_processor_keeps_nothing_that_nobody_holds(service, deletion, ask, mailhouse):
    mailhouse.answer = lambda: web.json_response({"erased": {}, "held": {"letters": 1}})
    assert await ask() == 1
    (row,) = await rows(service)
    assert row.last_error == "keeps something that nothing holds"


async def test_a_report_that_a_change_of_the_holds_has_overtaken_is_asked_for_again(
    client, service, deletion, ask, mailhouse, hold
):
    await hold()
    mailhouse.answer = lambda: web.json_response({"erased": {}, "held": {"letters": 1}})
    assert await ask() == 1
    await hold(days=30, code="us-il:740-14")
    assert (await status_of(client, deletion))[0]["mailhouse"]["status"] == "waiting"
    assert await processor_delivery(service).work_once() == 1
    assert len(json.loads(mailhouse.asked[-1][3])["holds"]) == 2
    assert (await status_of(client, deletion))[0]["mailhouse"]["status"] == "partial"
