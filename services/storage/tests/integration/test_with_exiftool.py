"""What exiftool finds in pictures of phones before they are stored, and no more afterwards."""

from pathlib import Path

import pytest

from corpus.feed import Served
from corpus.leaks import find_leaks, install_exiftool


@pytest.fixture(scope="session")
def exiftool() -> None:
    """Have exiftool on this machine."""
    install_exiftool()


@pytest.mark.usefixtures("exiftool")
async def test_heic_and_jpeg_of_twelve_megapixels_with_their_place_come_back_clean(
    ada, pictures, tmp_path: Path
) -> None:
    sent = {
        "heic": Served("image/heic", pictures.heic()),
        "jpeg": Served("image/jpeg", pictures.jpeg(4_000, 3_000)),
    }
    before = find_leaks(sent, tmp_path / "sent")
    assert [line for line in before if line.startswith("jpeg: EXIF:GPSLatitude ")]
    assert [line for line in before if line.startswith("heic: EXIF:")]

    served = {}
    for name, picture in sent.items():
        photo = await ada.upload(picture.body, picture.content_type)
        for rendition in ("original", "thumbnail"):
            answer = await ada.read(photo[f"{rendition}_url"])
            served[f"{name} ({rendition})"] = Served(answer.headers["Content-Type"], answer.content)
    assert find_leaks(served, tmp_path / "served") == []
