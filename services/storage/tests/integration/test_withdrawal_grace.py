"""With a grace, a withdrawal closes photos at once and destroys them later, unless they are wanted anew."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from contracts.consent import ConsentExpired
from contracts.fields import ConsentType
from contracts.identity import HoldChanged, UserDeleted, UserFrozen
from storage.models import Photo
from storage.use_cases.destroy_withdrawn import destroy_withdrawn
from storage.use_cases.reconcile_consents import reconcile_consents
from support.erasures import work_on_erasures

GRACE = timedelta(hours=24)


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"withdrawal_grace": 24})


@pytest.fixture
def carried_out(service):
    """Do what is due by now."""

    async def _carried_out() -> int:
        due = await destroy_withdrawn(service.database)
        await service.destroyer.work_once()
        return due

    return _carried_out


@pytest.fixture
def deletions(announced):
    async def _deletions() -> list[tuple[str, str]]:
        events = [event for event in await announced() if event["type"] == "storage.photo.deleted.v1"]
        return [(event["photo_id"], event["reason"]) for event in events]

    return _deletions


async def left(service, person) -> int:
    return (await service.vault.count_objects([person.id]))[person.id]


async def row(service, photo) -> Photo:
    async with service.database.read_only() as session:
        return await session.scalar(select(Photo).where(Photo.id == UUID(photo["id"])))


async def test_withdrawn_photos_are_closed_at_once_and_destroyed_after_the_grace(
    ada, consent, service, pictures, deliver, carried_out, deletions, clock
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await deliver(consent.withdraw(ada.id))
    assert (await ada.read(photo["original_url"])).status_code == 403
    assert (await ada.call("GET", f"/{photo['id']}")).status_code == 404
    assert (await ada.call("GET")).json()["total"] == 0
    waiting = await row(service, photo)
    assert waiting.destroy_at == waiting.closed_at + GRACE
    clock.advance(GRACE - timedelta(seconds=1))
    assert await carried_out() == 0
    assert await left(service, ada) == 2
    clock.advance(timedelta(seconds=1))
    assert await carried_out() == 1
    assert await left(service, ada) == 0
    assert await deletions() == [(photo["id"], "withdrawal")]


async def test_a_new_grant_within_the_grace_makes_them_readable_again(
    ada, consent, service, pictures, deliver, carried_out, deletions, clock
) -> None:
    photo = await ada.upload(pictures.jpeg())
    withdrawal = consent.withdraw(ada.id)
    await deliver(withdrawal)
    clock.advance(GRACE / 2)
    grant = consent.grant(ada.id)
    await deliver(grant)
    await deliver(withdrawal)
    shown = (await ada.call("GET", f"/{photo['id']}")).json()
    assert (await ada.read(shown["original_url"])).status_code == 200
    kept = await row(service, photo)
    assert (kept.consent_id, kept.consent_epoch, kept.destroy_at) == (grant.consent_id, grant.epoch, None)
    clock.advance(GRACE)
    assert await carried_out() == 0
    assert await deletions() == []


async def test_a_grant_that_is_heard_of_first_ends_the_same_way(
    ada, consent, pictures, deliver, service
) -> None:
    photo = await ada.upload(pictures.jpeg())
    withdrawal, grant = consent.withdraw(ada.id), consent.grant(ada.id)
    await deliver(grant)
    await deliver(withdrawal)
    assert (await row(service, photo)).consent_epoch == grant.epoch
    assert (await ada.call("GET")).json()["total"] == 1


async def test_a_grant_after_the_grace_brings_nothing_back(
    ada, consent, service, pictures, deliver, carried_out, clock
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await deliver(consent.withdraw(ada.id))
    clock.advance(GRACE)
    await deliver(consent.grant(ada.id))
    assert (await ada.call("GET", f"/{photo['id']}")).status_code == 404
    assert await carried_out() == 1
    assert await left(service, ada) == 0


async def test_a_withdrawal_found_by_the_feed_waits_as_well(ada, consent, service, pictures) -> None:
    photo = await ada.upload(pictures.jpeg())
    consent.withdraw(ada.id)
    assert await reconcile_consents(service.database, service.consents) == 1
    assert (await row(service, photo)).destroy_at is not None


async def test_what_consent_lets_expire_is_destroyed_at_once_also_if_it_waits(
    ada, consent, service, pictures, deliver, carried_out, deletions
) -> None:
    photo = await ada.upload(pictures.jpeg())
    withdrawal = consent.withdraw(ada.id)
    await reconcile_consents(service.database, service.consents)
    await deliver(
        ConsentExpired(
            user_id=ada.id,
            consent_id=withdrawal.consent_id,
            consent_type=ConsentType.BIOMETRIC_CAPTURE,
            jurisdiction="gdpr",
            epoch=withdrawal.epoch,
            expired_at=withdrawal.withdrawn_at,
        )
    )
    await carried_out()
    assert await left(service, ada) == 0
    assert await deletions() == [(photo["id"], "retention")]


async def test_an_account_that_is_frozen_waits_for_nothing(
    ada, consent, service, pictures, deliver, carried_out, deletions, clock
) -> None:
    waiting = await ada.upload(pictures.jpeg())
    await deliver(consent.withdraw(ada.id))
    clock.advance(GRACE)
    await deliver(consent.grant(ada.id))
    live = await ada.upload(pictures.jpeg())
    asked = {"user_id": ada.id, "erasure_id": uuid4(), "grace_until": clock.now() + timedelta(days=7)}
    await deliver(UserFrozen(**asked))
    await carried_out()
    assert await left(service, ada) == 0
    assert sorted(await deletions()) == sorted([(waiting["id"], "erasure"), (live["id"], "erasure")])


async def test_an_erasure_waits_for_no_grace(
    ada, consent, service, pictures, deliver, clock, participation
) -> None:
    await ada.upload(pictures.jpeg())
    await deliver(consent.withdraw(ada.id))
    now = clock.now()
    await deliver(
        UserDeleted(user_id=ada.id, erasure_id=uuid4(), requested_at=now, deadline=now + timedelta(days=30))
    )
    assert await work_on_erasures(participation, service.database) == 1
    assert await left(service, ada) == 0
    async with service.database.read_only() as session:
        assert (await session.scalars(select(Photo).where(Photo.user_id == ada.id))).all() == []


@pytest.mark.parametrize("ends", ["within the grace", "after it"])
async def test_a_hold_keeps_what_waits_and_a_grace_keeps_what_is_released(
    ada, consent, service, pictures, deliver, carried_out, deletions, clock, ends
) -> None:
    photo = await ada.upload(pictures.jpeg())
    hold = HoldChanged(
        user_id=ada.id,
        hold_id=uuid4(),
        service="storage",
        kind="photos",
        record=UUID(photo["id"]),
        expires_at=clock.now() + 10 * GRACE,
        ended_at=None,
    )
    await deliver(consent.withdraw(ada.id))
    await deliver(hold)
    if ends == "after it":
        clock.advance(GRACE)
        assert await carried_out() == 0
        assert await left(service, ada) == 2
        assert (await ada.read(photo["original_url"])).status_code in {403, 410}
    await deliver(hold.model_copy(update={"ended_at": clock.now()}))
    if ends == "within the grace":
        assert await carried_out() == 0
        assert await left(service, ada) == 2
        clock.advance(GRACE)
    assert await carried_out() == 1
    assert await left(service, ada) == 0
    assert await deletions() == [(photo["id"], "withdrawal")]
