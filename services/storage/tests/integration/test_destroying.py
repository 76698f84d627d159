"""Deletion, withdrawal, abandonment: the gate closes at once, objects go as soon as the store answers."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from contracts.consent import ConsentGranted, ConsentWithdrawn
from contracts.fields import ConsentType
from storage.models import Destruction
from storage.repositories import Gates
from storage.use_cases.expire_uploads import expire_uploads
from storage.use_cases.reconcile_consents import compare_open_gates, reconcile_consents
from support import eventually


async def left(service, person) -> int:
    return (await service.vault.count_objects([person.id]))[person.id]


@pytest.fixture
def destroyed(service):
    """Work on what is due until nothing is; fail when something resists."""

    async def _destroyed() -> None:
        async def nothing_is_left_to_do() -> None:
            await service.destroyer.work_once()
            async with service.unit_of_work() as uow:
                assert await due(uow) == 0

        await eventually(nothing_is_left_to_do, seconds=30)

    async def due(uow) -> int:
        statement = select(func.count()).where(Destruction.photo_id.is_not(None))
        return int(await uow.session.scalar(statement) or 0)

    return _destroyed


def deletions(events) -> list[tuple[str, str]]:
    return [
        (event["photo_id"], event["reason"])
        for event in events
        if event["type"] == "storage.photo.deleted.v1"
    ]


async def test_a_deleted_photo_leaves_nothing_and_is_announced_once(
    ada, service, pictures, announced, destroyed
) -> None:
    photo, other = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg())
    assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 204
    assert await left(service, ada) == 2
    assert deletions(await announced()) == [(photo["id"], "user")]
    assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 404
    assert (await ada.call("GET", f"/{photo['id']}")).status_code == 404
    await destroyed()
    assert deletions(await announced()) == [(photo["id"], "user")]
    assert (await ada.read(other["original_url"])).status_code == 200


async def test_a_deletion_is_accepted_while_the_store_is_down_and_done_when_it_returns(
    ada, service, pictures, announced, destroyed, road
) -> None:
    photo = await ada.upload(pictures.jpeg())
    road.cut()
    assert (await ada.call("DELETE", f"/{photo['id']}")).status_code == 204
    assert (await ada.read(photo["original_url"])).status_code == 410
    assert deletions(await announced()) == []
    road.mend()
    await destroyed()
    assert await left(service, ada) == 0
    assert deletions(await announced()) == [(photo["id"], "user")]


async def test_deleting_an_upload_without_bytes_announces_nothing(ada, announced) -> None:
    ticket = await ada.ticket()
    assert (await ada.call("DELETE", f"/{ticket['photo_id']}")).status_code == 204
    assert deletions(await announced()) == []


async def test_a_withdrawal_destroys_what_rested_on_the_consent(
    ada, consent, service, pictures, deliver, announced, destroyed
) -> None:
    photos = [await ada.upload(pictures.jpeg()) for _ in range(3)]
    await deliver(consent.withdraw(ada.id))
    assert (await ada.call("GET")).json()["total"] == 0
    await destroyed()
    assert await left(service, ada) == 0
    assert sorted(deletions(await announced())) == sorted((photo["id"], "withdrawal") for photo in photos)


async def test_a_withdrawal_is_carried_out_when_the_store_returns(
    ada, consent, service, pictures, deliver, announced, destroyed, road
) -> None:
    await ada.upload(pictures.jpeg())
    road.cut()
    await deliver(consent.withdraw(ada.id))
    assert (await ada.call("GET")).json()["total"] == 0
    assert await service.destroyer.work_once() == 1
    assert deletions(await announced()) == []
    road.mend()
    await destroyed()
    assert await left(service, ada) == 0
    assert len(deletions(await announced())) == 1


async def test_a_withdrawal_that_arrives_after_the_next_grant_destroys_only_what_is_older(
    ada, consent, pictures, deliver, service, destroyed
) -> None:
    old = await ada.upload(pictures.jpeg())
    withdrawal, grant = consent.withdraw(ada.id), consent.grant(ada.id)
    await deliver(grant)
    new = await ada.upload(pictures.jpeg())
    await deliver(withdrawal)
    await destroyed()
    listed = (await ada.call("GET")).json()["items"]
    assert [item["id"] for item in listed] == [new["id"]]
    assert (await ada.read(new["original_url"])).status_code == 200
    assert (await ada.read(old["original_url"])).status_code == 410
    assert await left(service, ada) == 2


async def test_repeated_and_reordered_events_end_in_the_same_state(ada, consent, service, deliver) -> None:
    events = [consent.grant(ada.id), consent.withdraw(ada.id), consent.grant(ada.id)]
    for event in (*reversed(events), *events, *events):
        await deliver(event)
    async with service.unit_of_work() as uow:
        gate = await Gates(uow.session).find(ada.id)
    assert gate is not None
    assert (gate.epoch, gate.granted, gate.withdrawn_epoch) == (4, True, 3)
    assert gate.consent_id == events[-1].consent_id


async def test_other_purposes_open_and_close_nothing(ada, consent, deliver, pictures, service) -> None:
    await ada.upload(pictures.jpeg())
    now, marketing = service.clock.now(), ConsentType.MARKETING
    shared = {"user_id": ada.id, "consent_id": uuid4(), "jurisdiction": "gdpr", "consent_type": marketing}
    await deliver(ConsentWithdrawn(**shared, epoch=9, withdrawn_at=now))
    await deliver(ConsentGranted(**shared, epoch=10, consent_text_version="1", granted_at=now))
    assert (await ada.call("GET")).json()["total"] == 1


async def test_a_lost_withdrawal_is_found_by_comparing(ada, consent, service, pictures, destroyed) -> None:
    await ada.upload(pictures.jpeg())
    consent.withdraw(ada.id)
    assert await reconcile_consents(service.database, service.consents) == 1
    assert await reconcile_consents(service.database, service.consents) == 0
    await destroyed()
    assert await left(service, ada) == 0


async def test_a_lapsed_consent_closes_the_gate_before_its_epoch_moves(
    ada, consent, service, pictures, destroyed
) -> None:
    photo = await ada.upload(pictures.jpeg())
    consent.lapse(ada.id)
    service.clock.advance(timedelta(seconds=1))
    now = service.clock.now()
    assert await compare_open_gates(service.database, service.consents, unchecked_since=now) == 1
    async with service.unit_of_work() as uow:
        gate = await Gates(uow.session).find(ada.id)
    assert gate is not None
    assert not gate.granted
    await destroyed()
    assert await left(service, ada) == 0
    assert (await ada.read(photo["original_url"])).status_code == 410


async def test_uploads_that_nobody_finished_are_swept(
    ada, service, pictures, clock, announced, destroyed
) -> None:
    await ada.ticket()
    unconfirmed = await ada.ticket()
    await ada.put(unconfirmed, pictures.jpeg())
    kept = await ada.upload(pictures.jpeg())

    async def expire() -> int:
        return await expire_uploads(
            service.database,
            upload_takes=service.upload_takes,
            confirm_within=timedelta(hours=24),
        )

    assert await expire() == 0
    clock.advance(timedelta(minutes=5) + service.upload_takes)
    assert await expire() == 1
    clock.advance(timedelta(hours=24))
    assert await expire() == 1
    await destroyed()
    assert deletions(await announced()) == [(unconfirmed["photo_id"], "retention")]
    assert [item["id"] for item in (await ada.call("GET")).json()["items"]] == [kept["id"]]
    assert await left(service, ada) == 2


@pytest.mark.parametrize("seed", range(8))
async def test_a_withdrawal_at_any_point_of_an_upload_leaves_nothing(
    ada, consent, service, pictures, deliver, destroyed, seed: int
) -> None:
    ticket = await ada.ticket()
    questions = 0

    async def withdraw_at_a_point() -> None:
        nonlocal questions
        questions += 1
        if questions == seed % 4:
            await deliver(consent.withdraw(ada.id))

    if seed < 4:
        consent.before_answer = withdraw_at_a_point
        answer = await ada.put(ticket, pictures.jpeg())
        if seed in {0, 3}:
            await deliver(consent.withdraw(ada.id))
    else:
        upload = asyncio.create_task(ada.put(ticket, pictures.jpeg()))
        await asyncio.wait([upload], timeout=0.02 * (seed - 4))
        await deliver(consent.withdraw(ada.id))
        answer = await upload
    assert answer.status_code in (200, 403)
    await destroyed()
    assert await left(service, ada) == 0
    assert (await ada.call("GET")).json()["total"] == 0


async def test_a_withdrawal_between_the_write_and_its_record_removes_what_was_written(
    ada, consent, service, pictures, deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await ada.ticket()
    put = service.vault.put

    async def put_and_withdraw(*arguments) -> None:
        await put(*arguments)
        assert await left(service, ada) == 2
        await deliver(consent.withdraw(ada.id))

    monkeypatch.setattr(service.vault, "put", put_and_withdraw)
    assert (await ada.put(ticket, pictures.jpeg())).status_code == 403
    assert await left(service, ada) == 0
