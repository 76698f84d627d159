"""What an erasure would take is told before anybody asks for one, and is what its report says afterwards."""

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import web
from httpx2 import ASGITransport, AsyncClient

from chassis.erasure import OpenErasure
from contracts.key_providers import key_terms
from contracts.participation import ParticipantJoined
from identity.erasure import inventories
from identity.main import IDENTITY
from identity.use_cases.erasure.end_graces import end_graces
from identity.wiring import open_service
from support.erasures import broker_takes_all
from support.gateway import through_gateway

PREVIEW = "/api/v1/users/me/erasure-preview"


class Neighbours:
    """The other participants: what each holds, and how it answers."""

    def __init__(self):
        self.asked = []
        self.answers = {name: lambda: web.json_response({}) for name in ("consent", "storage")}
        self.port = 0

    def hold(self, service, *, key_providers=(), **counts):
        erased = [
            {
                "kind": kind,
                "count": count,
                "data_class": "content",
                "purpose": "do what the person asked for",
                "on_erase": "delete",
                "retention": "until the account is erased",
            }
            for kind, count in counts.items()
        ]
        document = {"service": service, "erased": erased, "retained": []}
        if key_providers:
            # An earlier release does not say.
            document["key_providers"] = list(key_providers)
        self.answers[service] = lambda: web.json_response(document)

    async def handle(self, request):
        self.asked.append(request)
        answer = self.answers[request.match_info["service"]]()
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
async def neighbours():
    neighbours = Neighbours()
    neighbours.hold("consent", consent_entries=2)
    neighbours.hold("storage", photos=3, objects=6)
    application = web.Application()
    application.router.add_get("/{service}/internal/inventory/{user_id}", neighbours.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    neighbours.port = runner.addresses[0][1]
    yield neighbours
    await runner.cleanup()


@pytest.fixture
async def service(platform, settings, clock, neighbours):
    await platform.clean("identity")
    await platform.forget_counts()
    urls = {name: f"http://127.0.0.1:{neighbours.port}/{name}" for name in neighbours.answers}
    async with open_service(settings.model_copy(update={"participant_urls": urls}), clock) as opened:
        yield opened


def counts(preview):
    return {
        told["service"]: {held["kind"]: held["count"] for held in told["erased"]}
        for told in preview["participants"]
    }


async def report_of_identity(service, post_office, user_id, deletion):
    await post_office()
    participation = IDENTITY.participation(service)
    now = service.clock.now()
    async with service.unit_of_work() as uow:
        await participation.accept(uow, OpenErasure(UUID(deletion["erasure_id"]), UUID(user_id), now, now))
    await broker_takes_all(service.database)
    assert await participation.work_once() == 1
    tasks = service.database.tables.erasure_tasks
    async with service.database.read_only() as session:
        return (await session.execute(tasks.select())).one().erased


async def test_the_preview_counts_what_the_report_counts_afterwards(
    client, service, ada, post_office, neighbours
):
    # Links that were mailed and others that wait are made useless by the deletion, which mails as well.
    await post_office()
    await client.post("/api/v1/auth/resend-verification", headers=ada.bearer)
    await ada.log_in()
    answer = await client.get(PREVIEW, headers=ada.bearer)
    assert answer.status_code == 200, answer.text
    told = counts(answer.json())
    assert told["consent"] == {"consent_entries": 2}
    assert told["storage"] == {"photos": 3, "objects": 6}
    assert (told["identity"]["accounts"], told["identity"]["sessions"]) == (1, 2)

    deletion = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    report = await report_of_identity(service, post_office, ada.user_id, deletion.json())
    assert told["identity"] == report
    assert {request.match_info["user_id"] for request in neighbours.asked} == {ada.user_id}


async def test_before_a_grace_the_preview_counts_the_mail_that_says_so_too(
    service, settings, platform, ada, post_office, clock
):
    longer = service.settings.model_copy(update={"erasure_grace": 24})
    waiting = replace(service, settings=longer)
    app = IDENTITY.create_api(longer)
    IDENTITY.install(app, waiting)
    hooks = through_gateway(platform.gateway_proof("identity"))
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://identity", event_hooks=hooks
    ) as client:
        told = counts((await client.get(PREVIEW, headers=ada.bearer)).json())
        answer = await client.request(
            "DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer
        )
    await post_office()
    clock.advance(timedelta(hours=25))
    assert await end_graces(service.database, rules=service.rules) == 1
    report = await report_of_identity(service, post_office, ada.user_id, answer.json())
    assert told["identity"] == report


async def test_the_preview_says_what_stays_and_until_when(client, ada):
    told = (await client.get(PREVIEW, headers=ada.bearer)).json()
    assert told["backups"] == {"days": 30, "keyring_days": 7}
    own = next(part for part in told["participants"] if part["service"] == "identity")
    assert {it["kind"] for it in own["retained"]} >= {"erasures", "tombstones"}
    assert all(it["what"] and it["why"] and it["until"] for it in own["retained"])


async def test_the_preview_says_what_the_deletion_of_keys_means_where_they_are(client, ada, neighbours):
    told = (await client.get(PREVIEW, headers=ada.bearer)).json()["keys"]
    assert [it["provider"] for it in told] == ["file"]
    neighbours.hold("storage", key_providers=("aws-kms", "file"), photos=3)
    told = (await client.get(PREVIEW, headers=ada.bearer)).json()["keys"]
    assert [it["provider"] for it in told] == ["aws-kms", "file"]
    assert told == [asdict(terms) for terms in key_terms(["aws-kms", "file"])]


SILENT = {
    "refuses": lambda: web.Response(status=404),
    "fails": lambda: web.Response(status=500),
    "says something else": lambda: web.json_response({"service": "storage"}),
}


@pytest.mark.parametrize("answer", SILENT.values(), ids=SILENT)
async def test_a_participant_that_does_not_tell_is_named_in_place_of_a_wrong_count(
    client, ada, neighbours, answer
):
    neighbours.answers["storage"] = answer
    refused = await client.get(PREVIEW, headers=ada.bearer)
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:irisvue:problem:participant-silent"
    assert "storage" in refused.json()["detail"]
    assert "consent" not in refused.json()["detail"]
    assert refused.headers["Retry-After"]


async def test_a_participant_that_hangs_is_waited_for_no_longer_than_the_deadline(
    client, ada, neighbours, monkeypatch
):
    monkeypatch.setattr(inventories, "ANSWER_SECONDS", 0.2)
    neighbours.answers["storage"] = neighbours.answers["consent"] = asyncio.Event().wait
    async with asyncio.timeout(5):
        refused = await client.get(PREVIEW, headers=ada.bearer)
    assert refused.status_code == 503
    assert "consent, storage" in refused.json()["detail"]


async def test_a_service_that_has_joined_and_has_no_address_is_named(client, ada, deliver):
    await deliver(ParticipantJoined.by("rendering").of(handles=("erasure",), version="0.1.0"))
    refused = await client.get(PREVIEW, headers=ada.bearer)
    assert (refused.status_code, "rendering" in refused.json()["detail"]) == (503, True)


async def test_the_preview_needs_a_session_and_is_counted(client, ada):
    assert (await client.get(PREVIEW)).status_code == 401
    for _ in range(30):
        assert (await client.get(PREVIEW, headers=ada.bearer)).status_code == 200
    assert (await client.get(PREVIEW, headers=ada.bearer)).status_code == 429


async def test_only_the_coordinator_is_told_what_a_service_holds(client, ada, service_headers):
    path = f"/internal/inventory/{ada.user_id}"
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=service_headers("storage", "identity"))).status_code == 403
    told = await client.get(path, headers=service_headers("identity", "identity"))
    assert {held["kind"]: held["count"] for held in told.json()["erased"]}["accounts"] == 1
