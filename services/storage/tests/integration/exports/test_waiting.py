"""With a grace, an archive lacks a photo that waits for its end, and has it again after a new consent."""

import io
import zipfile
from datetime import timedelta

import pytest

from storage.use_cases.destroy_withdrawn import destroy_withdrawn

GRACE = timedelta(hours=24)


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"withdrawal_grace": 24})


@pytest.fixture
def photos_in_archive(exporter, builder):
    """Make the archive that is pending, fetch it and return the ids of its photos."""

    async def _photos_in_archive() -> set[str]:
        assert (await exporter.status())["status"] == "pending"
        assert await builder.work_once() == 1
        answer = await exporter.fetch((await exporter.status())["export_url"])
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            names = archive.namelist()
        return {name.removeprefix("photos/").partition(".")[0] for name in names if "photos/" in name}

    return _photos_in_archive


@pytest.mark.parametrize("again", [False, True], ids=["withdrawn", "given anew"])
async def test_archive_follows_what_its_owner_may_see(
    exporter, make_ready, photos_in_archive, ada, pictures, consent, deliver, again
) -> None:
    photo = await ada.upload(pictures.jpeg())
    url = await make_ready()
    await deliver(consent.withdraw(ada.id))
    assert (await exporter.fetch(url)).status_code == 410
    if again:
        await deliver(consent.grant(ada.id))
    assert await photos_in_archive() == ({photo["id"]} if again else set())


async def test_archive_of_the_grace_has_the_photos_again_when_they_are_readable_again(
    exporter, make_ready, builder, photos_in_archive, ada, pictures, consent, deliver
) -> None:
    photo = await ada.upload(pictures.jpeg())
    await make_ready()
    await deliver(consent.withdraw(ada.id))
    assert await builder.work_once() == 1
    without = (await exporter.status())["export_url"]
    await deliver(consent.grant(ada.id))
    assert (await exporter.fetch(without)).status_code == 410
    assert await photos_in_archive() == {photo["id"]}


async def test_end_of_the_grace_leaves_nothing_of_any_archive(
    service, make_ready, photos_in_archive, ada, pictures, consent, deliver, clock
) -> None:
    await ada.upload(pictures.jpeg())
    await make_ready()
    await deliver(consent.withdraw(ada.id))
    clock.advance(GRACE)
    assert await destroy_withdrawn(service.database) == 1
    assert await photos_in_archive() == set()
    while await service.destroyer.work_once():
        continue
    assert (await service.vault.count_objects([ada.id]))[ada.id] == 0
