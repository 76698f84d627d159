"""A held photo outlives its owner's erasure, sealed and unread, and nothing else does; then it goes too."""

import itertools
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from sqlalchemy import func, select

from chassis.holds import Hold, documents
from chassis.ids import new_id
from chassis.service_auth import ServiceTokens
from contracts.identity import Hold as StatedHold
from contracts.identity import UserDeleted
from storage.main import STORAGE
from storage.models import Photo
from storage.policy import Rendition
from storage.use_cases.expire_uploads import expire_uploads
from storage.vault import PhotoLocation
from storage.wiring import open_service
from support.erasures import work_on_erasures


@pytest.fixture
def deletion_of(clock):
    """Return a function that makes the request to erase a person but for one photo, or for all."""
    erasure_id, versions = uuid4(), itertools.count()

    def make(person, *held, service="storage", everything=False):
        now = clock.now()
        holds = tuple(
            StatedHold(
                hold_id=new_id(),
                service=service,
                kind="photos",
                record=record,
                expires_at=now + timedelta(days=90),
            )
            for record in ([None] if everything else held)
        )
        return UserDeleted(
            user_id=person.id,
            erasure_id=erasure_id,
            requested_at=now,
            deadline=now + timedelta(days=10),
            holds=holds,
            holds_version=next(versions),
        )

    return make


@pytest.fixture
def work(participation, service):
    async def _work() -> None:
        async with service.unit_of_work() as uow:
            tasks = uow.tables.erasure_tasks
            await uow.session.execute(tasks.update().values(next_attempt_at=func.clock_timestamp()))
        await work_on_erasures(participation, service.database)

    return _work


@pytest.fixture
def reports(announced):
    async def _reports() -> list[dict]:
        return [event for event in await announced() if event["type"] == "storage.erasure.reported.v1"]

    return _reports


async def photos_of(service, person):
    async with service.database.read_only() as session:
        return (await session.scalars(select(Photo).where(Photo.user_id == person.id))).all()


async def left(service, person) -> tuple[int, int]:
    keys, objects = (
        await service.vault.count_keys([person.id]),
        await service.vault.count_objects([person.id]),
    )
    return keys[person.id], objects[person.id]


async def test_only_the_held_photo_stays_and_nobody_reads_it(
    ada, service, pictures, deliver, deletion_of, work, reports
) -> None:
    held, other = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    await ada.ticket()
    await deliver(deletion_of(ada, UUID(held["id"])))
    await work()
    (report,) = await reports()
    assert (report["held"]["photos"], report["held"]["objects"], report["held"]["data_keys"]) == (1, 2, 1)
    assert (report["erased"]["photos"], report["erased"]["objects"], report["erased"]["data_keys"]) == (
        2,
        2,
        0,
    )
    assert await left(service, ada) == (1, 2)
    (photo,) = await photos_of(service, ada)
    assert str(photo.id) == held["id"]
    for it in (held, other):
        assert (await ada.read(it["original_url"])).status_code == 410
        assert (await ada.call("GET", f"/{it['id']}")).status_code == 404
    assert (await ada.call("GET")).json()["items"] == []
    assert (await ada.call("DELETE", f"/{held['id']}")).status_code == 401
    # It is there for who has the keys: else it would be evidence of nothing.
    assert await service.vault.get(PhotoLocation.of(photo), Rendition.THUMBNAIL)


async def test_when_the_hold_has_ended_it_goes_with_its_key(
    ada, service, pictures, deliver, deletion_of, work, reports
) -> None:
    held, _ = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    await deliver(deletion_of(ada, UUID(held["id"])))
    await work()
    await deliver(deletion_of(ada))
    await work()
    assert await left(service, ada) == (0, 0)
    assert await photos_of(service, ada) == []
    last = (await reports())[-1]
    assert (last["erased"]["photos"], last["erased"]["objects"], last["erased"]["data_keys"]) == (2, 4, 1)
    assert last["held"] == {}


async def test_every_photo_can_be_held_at_once(ada, service, pictures, deliver, deletion_of, work) -> None:
    for _ in range(2):
        await ada.upload(pictures.jpeg())
    await deliver(deletion_of(ada, everything=True))
    await work()
    assert await left(service, ada) == (1, 4)


async def test_no_later_sweep_takes_what_is_held(
    ada, service, pictures, deliver, deletion_of, work, clock, consent
) -> None:
    held, _ = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    await deliver(deletion_of(ada, UUID(held["id"])))
    await work()
    await deliver(consent.withdraw(ada.id))
    clock.advance(timedelta(days=2))
    await expire_uploads(service.database, upload_takes=timedelta(), confirm_within=timedelta())
    destroyer = service.destroyer
    async with service.unit_of_work() as uow:
        orders = destroyer._orders.table
        await uow.session.execute(orders.update().values(next_attempt_at=func.clock_timestamp()))
    while await destroyer.work_once():
        continue
    assert await left(service, ada) == (1, 2)


@pytest.mark.parametrize("which", ["unknown", "of another service", "never confirmed"])
async def test_a_hold_of_nothing_keeps_nothing(
    ada, service, pictures, deliver, deletion_of, work, reports, which
) -> None:
    photo = await ada.upload(pictures.jpeg())
    ticket = await ada.ticket()
    await ada.put(ticket, pictures.jpeg())
    record = {"unknown": new_id(), "never confirmed": UUID(ticket["photo_id"])}.get(which, UUID(photo["id"]))
    other = "consent" if which == "of another service" else "storage"
    await deliver(deletion_of(ada, record, service=other))
    await work()
    assert await left(service, ada) == (0, 0)
    assert (await reports())[0]["held"] == {}


async def test_without_its_key_a_photo_is_no_evidence_and_is_not_kept(
    ada, service, pictures, deliver, deletion_of, work
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await service.vault.destroy_keys([ada.id])
    await deliver(deletion_of(ada, UUID(photo["id"])))
    await work()
    assert await left(service, ada) == (0, 0)


async def test_the_inventory_tells_what_holds_would_keep(ada, client, platform, pictures, service) -> None:
    photo, _ = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    hold = Hold(new_id(), "photos", UUID(photo["id"]), service.clock.now() + timedelta(days=1))
    asked = {"holds": json.dumps(documents([hold]))}
    key = platform.servers.values["IDENTITY_SERVICE_KEY"].replace("\\n", "\n")
    proof = ServiceTokens("identity", private_key=key, public_keys={}).issue("storage")
    answer = await client.get(
        f"/internal/inventory/{ada.id}", params=asked, headers={"Authorization": f"Bearer {proof}"}
    )
    told = {it["kind"]: (it["count"], it["held"], it["holdable"]) for it in answer.json()["erased"]}
    assert told["photos"] == (1, 1, True)
    assert told["objects"] == (2, 2, False)
    assert told["data_keys"] == (0, 1, False)


@pytest.fixture
async def coordinator():
    """Let somebody answer as identity does when it is asked what is held."""
    held: list[dict] = []

    async def answer(_request):
        return web.json_response({"items": held})

    app = web.Application()
    app.router.add_get("/internal/holds", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield held, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize("is_held", [True, False])
async def test_a_replay_keeps_what_is_held_and_nothing_whose_hold_has_ended(
    ada, service, settings, clock, pictures, coordinator, is_held
) -> None:
    held, url = coordinator
    photo, _ = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    if is_held:
        hold = Hold(new_id(), "photos", UUID(photo["id"]), clock.now() + timedelta(days=1))
        held.append({"user_id": str(ada.id), **hold.document()})
    async with service.unit_of_work() as uow:
        # As absorbed from the journal.
        await uow.add_tombstone(ada.id, erasure_id=uuid4())
    async with open_service(settings.model_copy(update={"identity_url": url}), clock) as restored:
        for _, sweep in STORAGE.journaled(restored):
            await sweep()
    assert await left(service, ada) == ((1, 2) if is_held else (0, 0))
