"""Whatever ends an export ends it at once: an erasure, a withdrawal, a photo that goes; faults delay it."""

import asyncio
import io
import json
import zipfile
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, update

from chassis.ids import new_id
from contracts.identity import HoldChanged, UserDeleted
from storage.exports.policy import ArchiveGone
from storage.exports.sealed_parts import SealedParts
from storage.main import STORAGE
from storage.models import Export, ExportFile, ExportPart, ExportSection, Photo
from storage.use_cases.exports.build_archive import ArchiveBuilder
from support.erasures import work_on_erasures


@pytest.fixture
def hurried(service):
    """Return a builder that does one file in each turn, as one that is killed again and again."""

    def make() -> ArchiveBuilder:
        own = STORAGE.section(service)
        return ArchiveBuilder(
            service.database,
            service.exports,
            service.consents,
            own=own,
            terms=service.export_terms,
            turn_seconds=0.0,
        )

    return make


@pytest.fixture
def erase(service, participation, deliver, clock):
    async def _erase(person) -> None:
        now = clock.now()
        await deliver(
            UserDeleted(
                user_id=person.id, erasure_id=uuid4(), requested_at=now, deadline=now + timedelta(days=30)
            )
        )
        await work_on_erasures(participation, service.database)

    return _erase


async def rows_left(service) -> int:
    async with service.unit_of_work() as uow:
        counts = [
            await uow.session.scalar(select(func.count()).select_from(table))
            for table in (Export, ExportSection, ExportPart, ExportFile)
        ]
    return sum(counts)


async def make_due(service) -> None:
    async with service.unit_of_work() as uow:
        await uow.session.execute(
            update(Export).values(next_attempt_at=func.clock_timestamp(), lease_token=None, lease_until=None)
        )


async def fetched(exporter) -> dict[str, bytes]:
    answer = await exporter.fetch((await exporter.status())["export_url"])
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("when", ["asked", "contributed", "half made", "ready"])
async def test_erasure_beats_an_export_at_every_moment(
    exporter, service, contributors, contribute, hurried, builder, erase, ada, pictures, when
) -> None:
    for _ in range(2):
        await ada.upload(pictures.jpeg())
    export_id = await exporter.ask()
    link = (await contributors["identity"].link(export_id)).json()["path"]
    url = ""
    if when != "asked":
        await contribute(export_id)
    if when == "half made":
        assert await hurried().work_once() == 1
    if when == "ready":
        assert await builder.work_once() == 1
        url = (await exporter.status())["export_url"]

    await erase(ada)

    assert (await service.vault.count_objects([ada.id]))[ada.id] == 0
    assert await rows_left(service) == 0
    assert (await exporter.call("POST")).status_code == 401
    assert (await contributors["identity"].link(export_id)).status_code == 410
    assert (await contributors["identity"].put(link)).status_code == 410
    assert await builder.work_once() == 0
    assert (await service.vault.count_objects([ada.id]))[ada.id] == 0
    if url:
        assert (await exporter.fetch(url)).status_code == 410


async def test_late_section_of_a_person_whose_erasure_has_begun_is_refused_and_leaves_nothing(
    exporter, service, contributors, deliver, ada, clock, participation
) -> None:
    export_id = await exporter.ask()
    link = (await contributors["identity"].link(export_id)).json()["path"]
    now = clock.now()
    await deliver(UserDeleted(user_id=ada.id, erasure_id=uuid4(), requested_at=now, deadline=now))
    # The tombstone stands and nothing is erased yet.
    assert (await contributors["identity"].put(link)).status_code == 410
    assert (await contributors["identity"].link(export_id)).status_code == 410
    await work_on_erasures(participation, service.database)
    assert (await service.vault.count_objects([ada.id]))[ada.id] == 0


async def test_download_ends_with_the_erasure_that_comes_in_between(
    exporter, service, make_ready, erase, ada, monkeypatch
) -> None:
    await make_ready()
    export_id = UUID((await exporter.status())["export_id"])
    archive = await service.downloads.begin(export_id, version=1)
    pieces = service.downloads.pieces(archive)
    await erase(ada)
    with pytest.raises(ArchiveGone):
        await anext(pieces)
    await service.downloads.end(archive, complete=True)


async def test_download_that_breaks_off_may_begin_anew_and_two_at_once_may_not(
    exporter, service, make_ready
) -> None:
    url = await make_ready()
    export_id = UUID((await exporter.status())["export_id"])
    archive = await service.downloads.begin(export_id, version=1)
    assert (await exporter.fetch(url)).status_code == 410
    await service.downloads.end(archive, complete=False)
    assert (await exporter.fetch(url)).status_code == 200


@pytest.mark.parametrize(
    "how", ["withdrawal", "withdrawal that was not heard of", "deletion", "deletion of what is held"]
)
async def test_photo_that_goes_takes_the_archive_with_it_and_a_new_one_has_it_no_more(
    exporter, service, make_ready, builder, ada, pictures, consent, deliver, how, clock
) -> None:
    gone, stays = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg())
    url = await make_ready()
    deletes, held = how.startswith("deletion"), how.endswith("held")
    if held:
        await deliver(
            HoldChanged(
                user_id=ada.id,
                hold_id=new_id(),
                service="storage",
                kind="photos",
                record=UUID(gone["id"]),
                expires_at=clock.now() + timedelta(days=90),
                ended_at=None,
            )
        )
    if deletes:
        assert (await ada.call("DELETE", f"/{gone['id']}")).status_code == 204
    else:
        withdrawn = consent.withdraw(ada.id)
        if how == "withdrawal":
            await deliver(withdrawn)
    assert (await exporter.fetch(url)).status_code == 410
    assert (await exporter.status())["status"] == "pending"
    assert await builder.work_once() == 1
    files = await fetched(exporter)
    photos = {name for name in files if name.startswith("photos/")}
    assert photos == ({f"photos/{stays['id']}.jpg"} if deletes else set())
    # Of the first archive nothing is left.
    while await service.destroyer.work_once():
        pass
    assert (await service.vault.count_objects([ada.id]))[ada.id] == 2 * deletes + 2 * held


async def test_archive_is_made_anew_whoever_deletes_a_photo(
    exporter, service, make_ready, builder, ada, pictures
) -> None:
    """The trigger on the table does it alone: no use case of storage's has a part in it."""
    gone, stays = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg())
    url = await make_ready()
    async with service.unit_of_work() as uow:
        await uow.session.execute(delete(Photo).where(Photo.id == UUID(gone["id"])))
    assert (await exporter.fetch(url)).status_code == 410
    assert await builder.work_once() == 1
    files = await fetched(exporter)
    assert {name for name in files if name.startswith("photos/")} == {f"photos/{stays['id']}.jpg"}
    assert gone["id"] not in files["manifest.json"].decode()


async def test_archive_is_gone_on_with_where_the_last_one_who_died_had_kept_it(
    exporter, service, contribute, hurried, ada, pictures
) -> None:
    photos = [await ada.upload(pictures.jpeg()) for _ in range(3)]
    await contribute(await exporter.ask())
    turns = 0
    while (await exporter.status())["status"] == "pending":
        assert await hurried().work_once() == 1
        turns += 1
        assert turns < 20
    assert turns > len(photos)
    files = await fetched(exporter)
    assert {name for name in files if name.startswith("photos/")} == {
        f"photos/{photo['id']}.jpg" for photo in photos
    }
    told = json.loads(files["manifest.json"])["files"]
    assert len(told) == len(files) - 1


async def test_store_that_fails_in_between_costs_what_was_not_kept(
    exporter, service, contribute, hurried, builder, ada, pictures, road
) -> None:
    await ada.upload(pictures.jpeg())
    await contribute(await exporter.ask())
    assert await hurried().work_once() == 1
    before = (await exporter.status())["progress"]["bytes"]
    assert before > 0

    road.cut()
    assert await builder.work_once() == 1
    road.mend()
    assert (await exporter.status())["progress"]["bytes"] == before
    await make_due(service)
    assert await builder.work_once() == 1
    assert "photos/" in " ".join(await fetched(exporter))


async def test_whoever_has_lost_the_lease_changes_nothing(
    exporter, service, contribute, builder, ada, pictures, monkeypatch
) -> None:
    await ada.upload(pictures.jpeg())
    await contribute(await exporter.ask())
    writing, go_on = asyncio.Event(), asyncio.Event()
    write = SealedParts.write

    async def held(self, folder, name, plain):
        writing.set()
        await go_on.wait()
        await write(self, folder, name, plain)

    with monkeypatch.context() as patch:
        patch.setattr(SealedParts, "write", held)
        late = asyncio.create_task(builder.work_once())
        await writing.wait()
    await make_due(service)
    assert await builder.work_once() == 1
    assert (await exporter.status())["status"] == "ready"
    go_on.set()
    assert await late == 1
    files = await fetched(exporter)
    assert len(json.loads(files["manifest.json"])["files"]) == len(files) - 1


async def test_read_for_an_export_is_in_the_log_and_in_the_archive_itself(
    exporter, make_ready, ada, pictures
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await make_ready()
    (entry,) = (await ada.call("GET", f"/{photo['id']}/reads")).json()["items"]
    assert (entry["reason"], entry["rendition"]) == ("export", "original")
    assert (entry["session_id"], entry["read_by"]) == (None, str(ada.id))
    files = await fetched(exporter)
    held = {it["kind"]: it["records"] for it in json.loads(files["data/storage.json"])["holdings"]}
    assert [(it["photo_id"], it["reason"]) for it in held["photo_reads"]] == [(photo["id"], "export")]


async def test_photo_let_go_of_while_it_is_read_for_an_archive_is_not_in_it(
    exporter, service, contribute, builder, ada, pictures, consent, deliver, monkeypatch
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await contribute(await exporter.ask())
    get = service.vault.get

    async def get_and_withdraw(*place, **how):
        content = await get(*place, **how)
        await deliver(consent.withdraw(ada.id))
        return content

    with monkeypatch.context() as patch:
        patch.setattr(service.vault, "get", get_and_withdraw)
        assert await builder.work_once() == 1
    await make_due(service)
    assert await builder.work_once() == 1
    assert not {name for name in await fetched(exporter) if name.startswith("photos/")}
    # Of a photo that is gone and that nobody was given, nothing is told.
    assert (await ada.call("GET", f"/{photo['id']}/reads")).status_code == 404


async def test_photo_whose_bytes_are_lost_is_told_of_as_lost(
    exporter, service, contribute, builder, ada, pictures
) -> None:
    lost, stays = await ada.upload(pictures.jpeg()), await ada.upload(pictures.jpeg())
    await service.exports.objects.delete(lost["s3_key"])
    await contribute(await exporter.ask())
    assert await builder.work_once() == 1
    files = await fetched(exporter)
    held = {it["kind"]: it["records"] for it in json.loads(files["data/storage.json"])["holdings"]}
    assert {record["id"]: record["lost_at"] is None for record in held["photos"]} == {
        lost["id"]: False,
        stays["id"]: True,
    }
    assert f"photos/{lost['id']}.jpg" not in files
