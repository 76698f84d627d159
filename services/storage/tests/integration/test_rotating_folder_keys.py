"""Another folder key while storage runs: old photos are found where they are, and everything is erased."""

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from chassis.erasure import OpenErasure
from chassis.known_keys import OVERLAP, WrongKey, check_keys
from chassis.sealing import key_id
from storage.folder_keys import SETTING
from storage.main import STORAGE
from storage.models import Photo
from storage.use_cases.reconcile_objects import reconcile_objects
from storage.wiring import open_service
from support.erasures import work_on_erasures
from support.gateway import through_gateway


@pytest.fixture
def newer() -> bytes:
    return secrets.token_bytes(32)


@pytest.fixture
async def rotated(service, settings, clock, newer):
    """Storage with a folder key, beside the storage that has none."""
    async with open_service(
        settings.model_copy(update={"folder_keys": SecretStr(newer.hex())}), clock
    ) as opened:
        await check_keys(opened.database)
        yield opened


@pytest.fixture
def in_use(rotated, newer, clock):
    """Let the key be known for as long as other processes may run without it."""

    def _in_use() -> None:
        rotated.database.first_used[f"{SETTING}, {key_id(newer).hex()}"] = clock.now() - OVERLAP

    return _in_use


@pytest.fixture
async def ada_after(ada, rotated, settings, issuer, platform):
    """The same person, whose requests storage with the new key answers."""
    app = STORAGE.create_api(settings)
    STORAGE.install(app, rotated)
    app.state.access_tokens = issuer.verifier
    hooks = through_gateway(platform.gateway_proof("storage"))
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://storage", event_hooks=hooks) as client:
        after = type(ada)(client, issuer)
        after.id, after._headers = ada.id, ada._headers
        yield after


async def key_of(service, photo_id: str) -> str:
    async with service.database.read_only() as session:
        photo = await session.get(Photo, UUID(photo_id))
    return photo.s3_key


async def test_new_photos_go_into_new_folders_and_old_ones_are_read_erased_and_reconciled(
    ada, ada_after, service, rotated, in_use, pictures, clock
) -> None:
    old = await ada.upload(pictures.plain_jpeg())
    begun = await ada.ticket()
    in_use()
    first, second = rotated.vault.folders_of_people(ada.id)
    new = await ada_after.upload(pictures.plain_jpeg())
    assert (await ada_after.put(begun, pictures.plain_jpeg())).status_code == 200
    keys = [await key_of(service, photo_id) for photo_id in (old["id"], begun["photo_id"], new["id"])]
    assert [key.split("/")[0] + "/" for key in keys] == [second, second, first]
    for photo in (old, new):
        shown = (await ada_after.call("GET", f"/{photo['id']}")).json()
        assert (await ada_after.read(shown["original_url"])).status_code == 200
    settled = clock.now() + timedelta(days=1)
    # What other tests have left in the bucket is of no row any more, and is left to them.
    report = await reconcile_objects(rotated.database, rotated.vault, settled_by=settled, most_removed=0)
    assert (report.photos, report.missing) == (3, 0)
    nobody = uuid4()
    counted = await rotated.vault.count_objects([nobody, ada.id])
    assert counted == {nobody: 0, ada.id: 6}

    participation, now = STORAGE.participation(rotated), clock.now()

    async def asked():
        return [OpenErasure(uuid4(), ada.id, now, now + timedelta(days=30))]

    await participation.reconcile(asked)
    assert await work_on_erasures(participation, rotated.database) == 1
    for key in keys:
        assert not await rotated.vault.is_there(key)


async def test_upload_in_pieces_that_has_begun_before_ends_after_and_leaves_no_part(
    ada, ada_after, service, rotated, in_use, pictures, monkeypatch
) -> None:
    monkeypatch.setattr("storage.use_cases.resume_upload.PART_BYTES", 1024)
    data, said = pictures.jpeg(), {"Tus-Resumable": "1.0.0"}
    asked = await ada._client.post(
        "/api/v1/photos/uploads", headers={**ada._headers, **said, "Upload-Length": str(len(data))}
    )
    assert asked.status_code == 201, asked.text
    url = asked.headers["Location"]
    kind = {"Content-Type": "application/offset+octet-stream"}

    async def send(person, begin: int, end: int) -> None:
        headers = {**said, **kind, "Upload-Offset": str(begin)}
        answer = await person._client.patch(url, content=data[begin:end], headers=headers)
        assert answer.status_code == 204, answer.text

    await send(ada, 0, 1500)
    in_use()
    await send(ada_after, 1500, len(data))
    photo_id = asked.json()["photo_id"]
    confirmed = await ada_after.call("POST", f"/{photo_id}/confirm", json={"file_size": len(data)})
    assert confirmed.status_code == 200, confirmed.text
    while await rotated.destroyer.work_once():
        continue
    assert await rotated.vault.count_objects([ada.id]) == {ada.id: 2}
    old_folder = service.vault.folder_of_person(ada.id)
    assert (await key_of(rotated, photo_id)).startswith(old_folder)


async def test_nothing_is_put_into_a_new_folder_while_others_may_not_know_its_key(
    ada, service, rotated, in_use
) -> None:
    assert rotated.vault.folder_of_person(ada.id) == service.vault.folder_of_person(ada.id)
    in_use()
    assert rotated.vault.folder_of_person(ada.id) != service.vault.folder_of_person(ada.id)


async def test_a_key_that_is_missing_or_another_one_refuses_the_start_by_its_name(
    service, rotated, settings, clock, newer
) -> None:
    name = f"{SETTING}, {key_id(newer).hex()}"
    with pytest.raises(WrongKey, match=name):
        await check_keys(service.database)
    another = settings.model_copy(update={"folder_keys": SecretStr(secrets.token_hex(32))})
    async with open_service(another, clock) as opened:
        with pytest.raises(WrongKey, match=name):
            await check_keys(opened.database)
