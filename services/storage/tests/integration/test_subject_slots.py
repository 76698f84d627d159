"""Photos in the format with room for several data subjects: written where it is set, read everywhere."""

import io
from uuid import UUID

import pytest
from PIL import Image

from storage.models import Photo
from storage.policy import Rendition
from storage.subject_slots import MAGIC
from storage.vault import PhotoLocation
from storage.wiring import open_service


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"subject_slots": True})


@pytest.fixture
async def earlier(settings, clock):
    """Storage that writes the first format, on the same bucket and rows."""
    async with open_service(settings.model_copy(update={"subject_slots": False}), clock) as opened:
        yield opened


async def place_of(service, photo) -> PhotoLocation:
    async with service.database.read_only() as session:
        return PhotoLocation.of(await session.get(Photo, UUID(photo["id"])))


async def test_a_photo_is_written_read_and_measured_in_it_and_gone_with_its_subjects_key(
    ada, client, service, earlier, pictures
) -> None:
    photo = await ada.upload(pictures.jpeg(200, 150))
    place = await place_of(service, photo)
    for rendition, link in ((Rendition.ORIGINAL, "original_url"), (Rendition.THUMBNAIL, "thumbnail_url")):
        sealed = await service.vault._objects.download(place.key(rendition), most_bytes=10**7)
        assert sealed[:5] == MAGIC + b"\x01"
        read, measured = await client.get(photo[link]), await client.head(photo[link])
        assert (read.status_code, int(measured.headers["content-length"])) == (200, len(read.content))
        with Image.open(io.BytesIO(read.content)) as picture:
            assert picture.size == (200, 150)
        assert await earlier.vault.get(place, rendition) == read.content
    await service.vault.destroy_keys([ada.id])
    assert (await client.get(photo["original_url"])).status_code == 410


async def test_a_photo_in_the_first_format_is_read_and_measured_as_before(
    ada, client, service, pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(service.vault, "_subject_slots", False)
        photo = await ada.upload(pictures.jpeg(200, 150))
    read, measured = await client.get(photo["original_url"]), await client.head(photo["original_url"])
    assert (read.status_code, int(measured.headers["content-length"])) == (200, len(read.content))
