"""A service that is gone keeps no erasure open for ever, and whoever is erased without it can see that."""

import os
import subprocess
import sys
from uuid import UUID

import jwt
import pytest
from sqlalchemy import text

from contracts.envelope import parse
from contracts.identity import ErasureCompleted
from contracts.participation import ErasureReported, ParticipantJoined
from identity.erasure.certificate import KeysNotLoaded
from identity.repositories import ErasureReports
from identity.use_cases.erasure.retire_participant import retire_participant

REASON = "switched off in October, its disks were destroyed"


@pytest.fixture
def operate(platform):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "identity", "erasures", "retire-participant", *arguments],
            env={**os.environ, **platform.environment("identity")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
async def rendering(service, deliver):
    """Let a service join that no registry knows."""
    joined = ParticipantJoined.by("rendering").of(handles=("erasure",), version="0.1.0")
    await deliver(joined)
    return joined


async def status_of(client, deletion):
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}"
    answer = await client.get(path, headers={"X-Erasure-Token": deletion["status_token"]})
    return {part["service"]: part for part in answer.json()["participants"]}, answer.json()["status"]


async def claims_of(client, deletion):
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}/certificate"
    answer = await client.get(path, headers={"X-Erasure-Token": deletion["status_token"]})
    return jwt.decode(answer.text, options={"verify_signature": False}), answer.status_code


async def delete(client, person):
    answer = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=person.bearer)
    return answer.json()


async def test_an_open_erasure_is_complete_without_it_and_says_so(
    client, rendering, service, operate, deletion, report, events
):
    await service.load_keys()
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    parts, status = await status_of(client, deletion)
    assert (parts["rendering"]["status"], status) == ("waiting", "in_progress")

    retired = operate("rendering", "--reason", REASON)
    assert (retired.returncode, "1 open erasures" in retired.stdout) == (0, True), retired.stderr

    parts, status = await status_of(client, deletion)
    assert (parts["rendering"]["status"], parts["rendering"]["retired_reason"]) == ("retired", REASON)
    assert (status, parts["storage"]["status"]) == ("completed", "completed")
    shown = await client.get(
        f"/api/v1/privacy/erasures/{deletion['erasure_id']}",
        headers={"X-Erasure-Token": deletion["status_token"]},
    )
    assert shown.json()["outcome"] == "completed_without_retired"
    async with service.unit_of_work() as uow:
        query = text("SELECT body FROM identity.outbox WHERE type = :type")
        (body,) = await uow.session.scalars(query, {"type": ErasureCompleted.type})
    assert parse(body, ErasureCompleted).data.without_retired == ("rendering",)
    claims, code = await claims_of(client, deletion)
    assert code == 200
    assert claims["status"] == "completed_without_retired"
    assert [(it["service"], it["reason"]) for it in claims["retired"]] == [("rendering", REASON)]
    assert [it["service"] for it in claims["participants"]] == ["consent", "identity", "storage"]


async def test_nobody_takes_its_certificate_for_a_whole_one(
    client, rendering, service, operate, deletion, report
):
    await service.load_keys()
    operate("rendering", "--reason", REASON)
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}/certificate"
    shown = {"X-Erasure-Token": deletion["status_token"]}
    page = (await client.get(path, headers={**shown, "Accept": "text/html"})).text
    assert "<h1>Certificate of erasure without every service</h1>" in page
    assert "NOT EVERY SERVICE HAS LOOKED. This says nothing about rendering" in page
    document = await client.get(path, headers={**shown, "Accept": "application/pdf"})
    assert document.content.startswith(b"%PDF-")


async def test_so_many_erasures_are_locked_at_a_time_and_who_is_interrupted_goes_on(
    client, ada, rendering, service, deletion, deliver, monkeypatch
):
    await service.load_keys()
    opened = [deletion["erasure_id"]]
    for number in range(2):
        person = await type(ada)(client, f"person{number}@example.org").register()
        await person.log_in()
        opened.append((await delete(client, person))["erasure_id"])
    for erasure_id in opened:
        for participant in ("consent", "identity", "storage"):
            report = ErasureReported.by(participant)
            await deliver(report.of(UUID(erasure_id), completed_at=service.clock.now(), erased={}))

    def retire():
        return retire_participant(
            service.database, "rendering", reason=REASON, certificates=service.certificates, batch=2
        )

    async def left():
        async with service.database.read_only() as session:
            return len(await ErasureReports(session).waiting_for("rendering", limit=10))

    signed, sign = [], service.certificates.issue

    def sign_two(erasure, *, now):
        if len(signed) == 2:
            raise KeysNotLoaded
        signed.append(erasure)
        return sign(erasure, now=now)

    with monkeypatch.context() as patch:
        patch.setattr(service.certificates, "issue", sign_two)
        with pytest.raises(KeysNotLoaded):
            await retire()
    assert await left() == 1
    assert await retire() == 1
    assert await left() == 0


async def test_an_erasure_that_waits_for_others_goes_on_waiting_for_them(
    client, rendering, service, operate, deletion, report
):
    await service.load_keys()
    operate("rendering", "--reason", REASON)
    assert (await status_of(client, deletion))[1] == "in_progress"
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    assert (await status_of(client, deletion))[1] == "completed"
    claims, _ = await claims_of(client, deletion)
    assert [it["service"] for it in claims["retired"]] == ["rendering"]


async def test_later_erasures_name_it_for_whoever_it_may_have_known(
    client, ada, rendering, platform, operate
):
    later = await type(ada)(client, "later@example.org").register()
    await later.log_in()
    operate("rendering", "--reason", REASON)
    connection = await platform.connect_as_admin()
    try:
        await connection.execute(
            "UPDATE identity.users SET created_at = now() + interval '1 hour' WHERE id = $1", later.user_id
        )
    finally:
        await connection.close()
    parts, _ = await status_of(client, await delete(client, ada))
    assert parts["rendering"]["status"] == "retired"
    parts, _ = await status_of(client, await delete(client, later))
    assert parts.keys() == {"consent", "identity", "storage"}


async def test_a_service_that_announces_itself_again_takes_part_again(
    client, ada, rendering, deliver, operate
):
    operate("rendering", "--reason", REASON)
    await deliver(rendering)
    parts, _ = await status_of(client, await delete(client, ada))
    assert parts["rendering"]["status"] == "waiting"


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 201])
async def test_without_a_reason_nobody_is_retired(client, ada, rendering, operate, reason):
    assert operate("rendering", "--reason", reason).returncode == 2
    parts, _ = await status_of(client, await delete(client, ada))
    assert parts["rendering"]["status"] == "waiting"


@pytest.mark.parametrize("name", ["storage", "identity", "nobody"])
async def test_a_service_of_this_release_and_an_unknown_one_are_not_retired(service, operate, name):
    refused = operate(name, "--reason", REASON)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert name in refused.stderr
