"""G-17.3: what a law forbids to erase yet is named and kept until its day; the rest goes at once."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from uuid import UUID

import jwt
import pytest
from aiohttp import web
from sqlalchemy import select, text, update

from contracts.envelope import parse
from contracts.identity import ErasureCompleted, ErasurePartial, HoldChanged, UserDeleted
from contracts.participation import ErasureReported
from identity.main import ask_silent_participants
from identity.models import ErasureHold, User
from identity.use_cases.erasure.end_hold import end_expired_holds, end_hold
from identity.use_cases.erasure.place_hold import HoldRefused, NewHold, place_hold
from identity.use_cases.erasure.watch_open_erasures import late_erasures
from identity.wiring import open_service
from services.identity.tests.conftest import Person

PHOTO = UUID("019ab0c4-5000-7001-8001-00007e1d9a22")
UNKNOWN = UUID("019ab0c4-1000-7001-8001-0000316edc57")
GROUND = {
    "code": "eu-gdpr:A17-3-e",
    "legal_reference": "Article 17(3)(e) GDPR: 4 O 12/26",
    "approver": "Grace",
}
KINDS = {"storage": ("photos", 3), "consent": ("consent_entries", 2)}


class Neighbours:
    """Storage and consent, who tell what they hold of anybody, and what holds would keep of it."""

    def __init__(self):
        self.url = ""
        self.silent = set()
        self.asked = []

    async def handle(self, request):
        service = request.match_info["service"]
        if service in self.silent:
            return web.Response(status=503)
        kind, there = KINDS[service]
        holds = json.loads(request.query.get("holds", "[]"))
        self.asked.append((service, holds))
        one = any(it["kind"] == kind and it["record"] in (None, str(PHOTO)) for it in holds)
        said = {
            "data_class": "content",
            "purpose": "do what the person asked for",
            "on_erase": "delete",
            "retention": "until the account is erased",
        }
        held = {"kind": kind, "count": there - one, "held": int(one), "holdable": True, **said}
        other = {"kind": "consents", "count": 1, **said}
        return web.json_response({"service": service, "erased": [held, other], "retained": []})


@pytest.fixture
async def neighbours():
    neighbours = Neighbours()
    application = web.Application()
    application.router.add_get("/{service}/internal/inventory/{user_id}", neighbours.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    neighbours.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield neighbours
    await runner.cleanup()


@pytest.fixture
def urls(neighbours):
    return {name: f"{neighbours.url}/{name}" for name in KINDS}


@pytest.fixture
async def service(platform, settings, clock, urls):
    await platform.clean("identity")
    await platform.forget_counts()
    async with open_service(settings.model_copy(update={"participant_urls": urls}), clock) as opened:
        await opened.load_keys()
        yield opened


@pytest.fixture
def hold(service, clock):
    """Return a function that has something held for ninety days."""

    async def _hold(subject, **changes):
        wanted = {
            "service": "storage",
            "kind": "photos",
            "record": PHOTO,
            "expires_at": clock.now() + timedelta(days=90),
            **GROUND,
            **changes,
        }
        placed = await place_hold(
            service.database,
            service.inventories,
            subject=UUID(str(subject)),
            wanted=NewHold(**wanted),
            rules=service.rules,
        )
        return placed.id

    return _hold


@pytest.fixture
def release(service):
    async def _release(hold_id):
        async with service.unit_of_work() as uow:
            return await end_hold(
                uow, hold_id, rules=service.rules, released_by="Grace", reason="the case is closed"
            )

    return _release


@pytest.fixture
def said(service):
    """Return a function that gives the events of a type that were written, in order."""

    async def _said(event):
        async with service.unit_of_work() as uow:
            query = text("SELECT body FROM identity.outbox WHERE type = :type ORDER BY position")
            rows = await uow.session.scalars(query, {"type": event.type})
            return [parse(body, event).data for body in rows]

    return _said


@pytest.fixture
async def deletion(client, ada):
    answer = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    return answer.json()


@pytest.fixture
def keep(service, deletion, deliver, clock):
    """Return a function that lets storage report that it has erased all but one photo."""

    async def _keep(version):
        held = {"photos": 1, "objects": 2, "data_keys": 1}
        await deliver(
            ErasureReported.by("storage").of(
                UUID(deletion["erasure_id"]),
                completed_at=clock.now(),
                erased={"photos": 2, "objects": 4, "data_keys": 0},
                held=held,
                holds_version=version,
            )
        )

    return _keep


@pytest.fixture
def status(client, deletion):
    async def _status(tail="", **headers):
        shown = {"X-Erasure-Token": deletion["status_token"], **headers}
        return await client.get(f"/api/v1/privacy/erasures/{deletion['erasure_id']}{tail}", headers=shown)

    return _status


@pytest.fixture
def claims(status):
    async def _claims():
        answer = await status("/certificate")
        assert answer.status_code == 200, answer.text
        return jwt.decode(answer.text, options={"verify_signature": False})

    return _claims


@pytest.fixture
async def held_before(ada, hold):
    """Have something held of ada before she asks to be erased; list it before `deletion`."""
    return await hold(ada.user_id)


@pytest.fixture
async def released_before(held_before, release, clock):
    """Have that hold released before she asks."""
    await release(held_before)
    clock.advance(timedelta(seconds=1))


async def all_holds(service):
    async with service.database.read_only() as session:
        return (await session.scalars(select(ErasureHold).order_by(ErasureHold.id))).all()


async def test_a_hold_travels_with_the_request_and_the_rest_is_certified_as_partial(
    ada, held_before, deletion, keep, report, said, status, claims
):
    (asked,) = await said(UserDeleted)
    (told,) = asked.holds
    assert (told.hold_id, told.service, told.kind, told.record) == (held_before, "storage", "photos", PHOTO)
    for name in ("consent", "identity"):
        await report(name, accounts=1)
    await keep(asked.holds_version)

    shown = (await status()).json()
    assert (shown["status"], shown["outcome"], shown["completed_at"]) == ("partial", "partial", None)
    parts = {it["service"]: it for it in shown["participants"]}
    assert (parts["storage"]["status"], parts["storage"]["held"]["photos"]) == ("partial", 1)
    assert shown["steps"][-1]["step"] == "partial"
    terms = {name: shown["holds"][0][name] for name in GROUND}
    assert (len(shown["holds"]), terms) == (1, GROUND)

    certified = await claims()
    assert (certified["status"], certified["completed_at"]) == ("partial", None)
    (in_force,) = certified["holds"]
    assert {name: in_force[name] for name in GROUND} == GROUND
    assert (in_force["hold_id"], in_force["ended_at"]) == (str(held_before), None)
    assert in_force["expires_at"] > certified["steps"][-1]["at"]
    held = {it["service"]: it["held"] for it in certified["participants"]}
    assert held == {"consent": {}, "identity": {}, "storage": {"photos": 1, "objects": 2, "data_keys": 1}}
    assert str(PHOTO) not in json.dumps(certified)
    assert ada.user_id not in json.dumps(certified)
    (partial,) = await said(ErasurePartial)
    assert str(partial.erasure_id) == deletion["erasure_id"]
    assert await said(ErasureCompleted) == []


@pytest.mark.parametrize("by", ["release", "its time"])
async def test_the_end_of_a_hold_resumes_the_erasure_by_itself(
    ada, hold, deletion, keep, report, said, service, clock, release, status, claims, by
):
    hold_id = await hold(deletion["erasure_id"])
    for name in ("consent", "identity"):
        await report(name, accounts=1)
    await keep(1)
    partial = (await said(ErasurePartial))[0].certificate_digest
    if by == "release":
        clock.advance(timedelta(days=1))
        assert await release(hold_id)
        assert not await release(hold_id)
    else:
        clock.advance(timedelta(days=89))
        assert await end_expired_holds(service.database, rules=service.rules) == 0
        clock.advance(timedelta(days=1))
        assert await end_expired_holds(service.database, rules=service.rules) == 1
        assert await end_expired_holds(service.database, rules=service.rules) == 0
    assert (await status()).json()["status"] == "in_progress"
    assert (await said(UserDeleted))[-1].holds == ()
    # What was said meanwhile stays true of its time.
    assert (await claims())["status"] == "partial"

    clock.advance(timedelta(minutes=1))
    await report("storage", photos=3, objects=6, data_keys=1)
    shown = (await status()).json()
    assert shown["status"] == "completed"
    assert [it["step"] for it in shown["steps"]] == [
        "requested", "erasing", "verifying", "partial", "completed"
    ]  # fmt: skip
    certified = await claims()
    assert (certified["status"], certified["supersedes"]) == ("completed", partial)
    assert certified["holds"][0]["ended_at"] is not None
    assert [it["held"] for it in certified["participants"]] == [{}, {}, {}]
    (completed,) = await said(ErasureCompleted)
    assert completed.certificate_digest != partial
    (row,) = await all_holds(service)
    assert (row.user_id, row.record, row.approver) == (None, None, "Grace")
    assert (row.released_by is not None) is (by == "release")


async def test_nobody_is_reminded_nor_alarmed_while_only_a_hold_keeps_it_open(
    hold, deletion, keep, report, said, service, clock, status, release
):
    hold_id = await hold(deletion["erasure_id"])
    for name in ("consent", "identity"):
        await report(name)
    await keep(1)
    asked = len(await said(UserDeleted))
    clock.advance(timedelta(days=40))
    await ask_silent_participants(service)
    assert (len(await said(UserDeleted)), await late_erasures(service.database)) == (asked, None)
    assert (await status()).json()["status"] == "partial"
    # The hold's end is when the time begins in which it has to be done.
    await release(hold_id)
    assert (await status()).json()["status"] == "in_progress"
    assert await late_erasures(service.database) is None
    clock.advance(timedelta(hours=2))
    assert (await late_erasures(service.database)).number == 1
    await ask_silent_participants(service)
    assert len(await said(UserDeleted)) == asked + 2
    clock.advance(timedelta(days=11))
    assert (await status()).json()["status"] == "overdue"


async def test_two_holds_on_one_thing_both_have_to_end(
    hold, deletion, keep, report, said, clock, release, status
):
    first = await hold(deletion["erasure_id"])
    second = await hold(deletion["erasure_id"], code="bipa:litigation")
    assert {it.hold_id for it in (await said(UserDeleted))[-1].holds} == {first, second}
    for name in ("consent", "identity"):
        await report(name)
    await keep(2)
    assert (await status()).json()["status"] == "partial"
    await release(first)
    assert [it.hold_id for it in (await said(UserDeleted))[-1].holds] == [second]
    clock.advance(timedelta(minutes=1))
    await keep(3)
    assert (await status()).json()["status"] == "partial"
    assert len(await said(ErasurePartial)) == 2
    await release(second)
    await report("storage", photos=3)
    assert (await status()).json()["status"] == "completed"


async def test_what_was_kept_under_other_holds_is_not_believed(
    hold, deletion, keep, report, status, release, said
):
    hold_id = await hold(deletion["erasure_id"])
    for name in ("consent", "identity"):
        await report(name)
    await keep(0)
    await keep(2)
    assert (await status()).json()["status"] == "in_progress"
    await release(hold_id)
    # It was written before the hold ended, and came late.
    await keep(1)
    assert (await status()).json()["status"] == "in_progress"
    assert await said(ErasurePartial) == []
    await report("storage", photos=3)
    assert (await status()).json()["status"] == "completed"


async def test_a_hold_that_came_too_late_keeps_nothing_and_is_named_all_the_same(
    hold, deletion, report, claims, status, service
):
    await hold(deletion["erasure_id"])
    for name in ("consent", "identity", "storage"):
        await report(name, accounts=1)
    assert (await status()).json()["status"] == "completed"
    certified = await claims()
    assert (certified["status"], certified["holds"][0]["ended_at"]) == (
        "completed",
        certified["completed_at"],
    )
    (row,) = await all_holds(service)
    assert (row.user_id, row.ended_at is not None) == (None, True)


async def test_what_has_no_ground_or_no_end_or_is_not_there_is_not_held(
    hold, ada, clock, neighbours, service
):
    refused = {
        "an end that is still to come": {"expires_at": clock.now()},
        "no account and no open erasure": {"subject": UNKNOWN},
        "consents of storage can't be held, but: photos": {"kind": "consents"},
        "selfies of storage can't be held, but: photos": {"kind": "selfies"},
        "storage has no such photos": {"record": UNKNOWN},
        "rendering does not say": {"service": "rendering"},
        "identity does not say": {"service": "identity"},
    }
    for words, changes in refused.items():
        with pytest.raises(HoldRefused, match=words):
            await hold(changes.pop("subject", ada.user_id), **changes)
    neighbours.silent.add("storage")
    with pytest.raises(HoldRefused, match="storage does not say"):
        await hold(ada.user_id)
    assert await all_holds(service) == []


async def test_the_same_hold_is_not_placed_twice(hold, ada, service):
    first = await hold(ada.user_id)
    with pytest.raises(HoldRefused, match=str(first)):
        await hold(ada.user_id, approver="Somebody else")
    assert await hold(ada.user_id) == first
    assert len(await all_holds(service)) == 1


async def test_where_a_service_is_done_nothing_is_held_any_more(hold, deletion, report):
    await report("storage", photos=3)
    with pytest.raises(HoldRefused, match="storage has erased everything"):
        await hold(deletion["erasure_id"])


async def test_a_hold_that_ended_before_the_erasure_keeps_nothing_and_is_not_in_its_certificate(
    ada, released_before, deletion, report, said, claims, service
):
    assert (await said(UserDeleted))[0].holds == ()
    for name in ("consent", "identity", "storage"):
        await report(name)
    assert (await claims())["holds"] == []
    (row,) = await all_holds(service)
    assert row.user_id is None


async def test_the_preview_names_what_would_be_held(client, ada, hold, neighbours):
    hold_id = await hold(ada.user_id)
    neighbours.asked.clear()
    told = (await client.get("/api/v1/users/me/erasure-preview", headers=ada.bearer)).json()
    (shown,) = told["holds"]
    assert {name: shown[name] for name in GROUND} == GROUND
    asked = dict(neighbours.asked)
    assert [it["hold_id"] for it in asked["storage"]] == [str(hold_id)]
    assert asked["consent"] == []
    counts = {it["service"]: {kind["kind"]: kind for kind in it["erased"]} for it in told["participants"]}
    assert (counts["storage"]["photos"]["count"], counts["storage"]["photos"]["held"]) == (2, 1)
    assert (counts["consent"]["consent_entries"]["count"], counts["consent"]["consent_entries"]["held"]) == (
        2,
        0,
    )


async def test_a_participant_is_told_of_its_own_holds_alone(
    client, ada, hold, deletion, service_headers, keep
):
    mine = await hold(deletion["erasure_id"])
    theirs = await hold(deletion["erasure_id"], service="consent", kind="consent_entries", record=None)
    for caller, expected in (("storage", mine), ("consent", theirs)):
        headers = service_headers(caller, "identity")
        listed = (await client.get("/internal/holds", headers=headers)).json()["items"]
        assert [(it["hold_id"], it["user_id"]) for it in listed] == [(str(expected), ada.user_id)]
        (waiting,) = (await client.get("/internal/erasures", headers=headers)).json()["items"]
        assert ([it["hold_id"] for it in waiting["holds"]], waiting["holds_version"]) == ([str(expected)], 2)
    await keep(2)
    waiting = (await client.get("/internal/erasures", headers=service_headers("storage", "identity"))).json()
    assert waiting["items"] == []
    assert (await client.get("/internal/holds")).status_code == 401
    assert (
        await client.get("/internal/holds", headers=service_headers("gateway", "identity"))
    ).status_code == 403


async def test_people_read_on_page_and_document_that_not_everything_is_erased(
    hold, deletion, keep, report, status
):
    await hold(deletion["erasure_id"])
    for name in ("consent", "identity"):
        await report(name)
    await keep(1)
    page = (await status("/certificate", Accept="text/html")).text
    assert "<h1>Certificate of partial erasure</h1>" in page
    assert "NOT EVERYTHING IS ERASED" in page
    assert GROUND["legal_reference"] in page
    assert "still held: " in page
    document = await status("/certificate", Accept="application/pdf")
    assert document.content.startswith(b"%PDF-")


async def test_the_service_can_change_nothing_of_what_was_said_about_a_hold(platform, service):
    connection = await platform.connect_as_admin()
    try:
        for right in ("UPDATE", "DELETE", "TRUNCATE"):
            assert not await connection.fetchval(
                "SELECT has_table_privilege('identity_app', 'identity.holds', $1)", right
            )
        for column, may in (("ended_at", True), ("expires_at", False), ("approver", False), ("code", False)):
            assert (
                await connection.fetchval(
                    "SELECT has_column_privilege('identity_app', 'identity.holds', $1, 'UPDATE')", column
                )
                is may
            ), column
    finally:
        await connection.close()


@pytest.fixture
def operate(platform, urls):
    """Return a function that runs a command of `erasures`; it gives the exit status and what was said."""

    async def run(*arguments):
        joined = ",".join(f"{name}={url}" for name, url in urls.items())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "identity", "erasures", *arguments),
            env={**os.environ, **platform.environment("identity"), "IDENTITY_PARTICIPANT_URLS": joined},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        return process.returncode, told.decode()

    return run


def ground(**changes):
    given = {
        "--service": "storage",
        "--kind": "photos",
        "--record": str(PHOTO),
        "--code": GROUND["code"],
        "--legal-reference": GROUND["legal_reference"],
        "--approver": GROUND["approver"],
        "--until": "2099-12-31",
        **changes,
    }
    return [part for name, value in given.items() if value is not None for part in (name, value)]


async def test_operators_place_list_and_release_holds(operate, ada, deletion, service):
    code, told = await operate("hold", deletion["erasure_id"], *ground())
    assert (code, "2100-01-01 00:00:00 UTC" in told) == (0, True), told
    (row,) = await all_holds(service)
    code, told = await operate("holds")
    assert (code, str(row.id) in told, GROUND["code"] in told, ada.user_id in told) == (0, True, True, False)
    code, told = await operate("release", str(row.id), "--by", "Grace", "--reason", "the case is closed")
    assert code == 0, told
    code, told = await operate("show", deletion["erasure_id"])
    assert (code, "by Grace: the case is closed" in told) == (0, True), told
    assert (await operate("release", str(row.id), "--by", "Grace", "--reason", "again"))[0] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--until": None}, "--until"),
        ({"--until": "some day"}, "must read like"),
        ({"--until": "2099-12-31T00:00:00"}, "offset"),
        ({"--approver": None}, "--approver"),
        ({"--legal-reference": " "}, "one line"),
        ({"--code": "two words"}, "a code"),
    ],
)
async def test_a_hold_without_an_end_or_a_ground_is_refused(operate, changes, words):
    code, told = await operate("hold", str(UNKNOWN), *ground(**changes))
    assert (code, words in told) == (2, True), told


async def test_what_is_refused_is_said_in_words(operate, service, ada):
    code, told = await operate("hold", ada.user_id, *ground(**{"--until": "2020-01-01"}))
    assert (code, "still to come" in told) == (1, True), told


async def test_after_a_restore_a_hold_is_placed_although_the_service_is_closed(
    operate, neighbours, deletion, service
):
    neighbours.silent.add("storage")
    code, told = await operate("hold", deletion["erasure_id"], *ground())
    assert (code, "storage does not say" in told) == (1, True), told
    code, told = await operate("hold", deletion["erasure_id"], *ground(), "--unchecked")
    assert code == 0, told
    (row,) = await all_holds(service)
    assert (row.record, row.placing_officer, str(row.id) in told) == (PHOTO, None, True)
    assert neighbours.asked == []


async def test_before_an_erasure_a_service_is_told_of_a_hold_and_of_its_end(ada, hold, release, said, clock):
    hold_id = await hold(ada.user_id)
    clock.advance(timedelta(seconds=1))
    assert await release(hold_id)
    placed, ended = await said(HoldChanged)
    assert (placed.hold_id, placed.record, placed.ended_at) == (hold_id, PHOTO, None)
    assert ended == placed.model_copy(update={"ended_at": clock.now()})


async def test_with_a_request_to_erase_holds_travel_in_it_alone(hold, deletion, release, said):
    await release(await hold(deletion["erasure_id"]))
    assert await said(HoldChanged) == []
    assert [len(it.holds) for it in await said(UserDeleted)] == [0, 1, 0]


HOLDS = "/api/v1/operations/holds"


@pytest.fixture
async def officer(client, service):
    """Return the bearer of an account that may operate the platform, signed in just now."""
    person = await Person(client, "officer@example.org").register()
    async with service.unit_of_work() as uow:
        await uow.session.execute(update(User).where(User.id == UUID(person.user_id)).values(is_admin=True))
    await person.log_in()
    return person.bearer


def asked(subject, **changes):
    body = {
        "subject": str(subject),
        "service": "storage",
        "kind": "photos",
        "record": str(PHOTO),
        "expires_at": "2099-12-31T00:00:00Z",
        **GROUND,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def test_officers_place_list_and_release_holds_and_the_row_says_who(client, officer, ada, service):
    placed = await client.post(HOLDS, json=asked(ada.user_id), headers=officer)
    assert placed.status_code == 201, placed.text
    (row,) = await all_holds(service)
    assert (placed.json()["hold_id"], placed.json()["user_id"]) == (str(row.id), ada.user_id)
    assert len(row.placing_officer) == 64
    listed = (await client.get(HOLDS, headers=officer)).json()
    assert (listed["holds"], listed["more"]) == ([placed.json()], False)
    said = {"released_by": "Grace", "reason": "the case is closed"}
    answers = [
        await client.post(f"{HOLDS}/{row.id}/release", json=words, headers=officer)
        for words in (said, {**said, "reason": "once more"})
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    # What has ended stays as it ended.
    assert [answer.json()["release_reason"] for answer in answers] == ["the case is closed"] * 2
    (row,) = await all_holds(service)
    assert row.releasing_officer == row.placing_officer
    assert (await client.get(HOLDS, headers=officer)).json()["holds"] == []


async def test_a_repeat_over_http_is_the_first_hold(client, officer, ada, service):
    once = {**officer, "Idempotency-Key": "hold-1"}
    answers = [
        await client.post(HOLDS, json=asked(ada.user_id), headers=headers)
        for headers in (once, once, officer)
    ]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["hold_id"] for answer in answers}) == 1
    other = await client.post(HOLDS, json=asked(ada.user_id, approver="Somebody else"), headers=officer)
    assert (other.status_code, answers[0].json()["hold_id"] in other.json()["detail"]) == (409, True)
    assert len(await all_holds(service)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": None},
        {"expires_at": "2099-12-31T00:00:00"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"code": None},
        {"code": "two words"},
        {"legal_reference": None},
        {"legal_reference": " "},
        {"approver": None},
        {"approver": "two\nlines"},
    ],
)
async def test_over_http_a_hold_without_an_end_or_a_ground_is_a_422(client, officer, ada, service, changes):
    answer = await client.post(HOLDS, json=asked(ada.user_id, **changes), headers=officer)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert await all_holds(service) == []


async def test_over_http_what_is_not_there_or_not_known_is_told_apart(
    client, officer, ada, service, neighbours
):
    unknown = await client.post(HOLDS, json=asked(UNKNOWN), headers=officer)
    nothing = await client.post(HOLDS, json=asked(ada.user_id, record=str(UNKNOWN)), headers=officer)
    neighbours.silent.add("storage")
    silent = await client.post(HOLDS, json=asked(ada.user_id), headers=officer)
    assert [it.status_code for it in (unknown, nothing, silent)] == [404, 409, 503]
    released = {"released_by": "Grace", "reason": "the case is closed"}
    assert (
        await client.post(f"{HOLDS}/{UNKNOWN}/release", json=released, headers=officer)
    ).status_code == 404
    assert await all_holds(service) == []


async def test_whoever_is_no_officer_or_signed_in_long_ago_holds_nothing(
    client, officer, ada, service, clock
):
    for headers, status in ((ada.bearer, 403), ({}, 401)):
        assert (await client.get(HOLDS, headers=headers)).status_code == status
        assert (await client.post(HOLDS, json=asked(ada.user_id), headers=headers)).status_code == status
        assert (
            await client.post(f"{HOLDS}/{UNKNOWN}/release", json={}, headers=headers)
        ).status_code == status
    clock.advance(timedelta(minutes=6))
    late = await client.post(HOLDS, json=asked(ada.user_id), headers=officer)
    assert (late.status_code, "max_age" in late.headers["WWW-Authenticate"]) == (401, True)
    assert (await client.get(HOLDS, headers=officer)).status_code == 200
    assert await all_holds(service) == []
