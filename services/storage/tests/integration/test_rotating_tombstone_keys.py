"""Another tombstone key while storage runs: photos stay where they are, and nobody erased comes back."""

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from chassis.erasure import OpenErasure
from chassis.known_keys import check_keys
from chassis.problems import PersonErased
from storage.main import STORAGE
from storage.models import Photo
from storage.policy import Rendition
from storage.use_cases.ask_consent import ask_consent
from storage.vault import PhotoLocation
from storage.wiring import open_service
from support.erasures import work_on_erasures


@pytest.fixture
async def rotated(service, settings, clock):
    """Storage with a newer key in front of the old one, beside the storage that has the old one alone."""
    await check_keys(service.database)
    keys = f"{secrets.token_hex(32)},{settings.tombstone_key.get_secret_value()}"
    async with open_service(settings.model_copy(update={"tombstone_key": SecretStr(keys)}), clock) as opened:
        await check_keys(opened.database)
        yield opened


def erase(opened, person, clock):
    """Return what lets one generation of storage erase somebody."""
    participation, now = STORAGE.participation(opened), clock.now()

    async def asked():
        return [OpenErasure(uuid4(), person.id, now, now + timedelta(days=30))]

    async def _erase() -> None:
        await participation.reconcile(asked)
        assert await work_on_erasures(participation, opened.database) == 1

    return _erase()


async def test_photos_are_found_and_erased_by_either_generation(
    ada, grace, pictures, service, rotated, clock
) -> None:
    for person, eraser in ((ada, rotated), (grace, service)):
        photo = await person.upload(pictures.plain_jpeg())
        async with service.unit_of_work() as uow:
            place = PhotoLocation.of(await uow.session.get(Photo, UUID(photo["id"])))
        first = await service.vault.get(place, Rendition.ORIGINAL)
        assert await rotated.vault.get(place, Rendition.ORIGINAL) == first
        await erase(eraser, person, clock)
        assert await rotated.vault.count_objects([person.id]) == {person.id: 0}
        assert (await person.read(photo["original_url"])).status_code == 410
        for generation in (service, rotated):
            with pytest.raises(PersonErased):
                await ask_consent(generation.database, generation.consents, user_id=person.id)
            with pytest.raises(PersonErased):
                await generation.vault.open_key(person.id)
        assert (await person.call("POST", "/upload")).status_code == 401
    assert await service.vault.count_keys([ada.id, grace.id]) == {ada.id: 0, grace.id: 0}
