"""Eight megabytes over half a megabit a second arrive, however long that takes."""

import asyncio
import io
import time

import aiohttp
from PIL import Image

LEAST_BYTES = 8_000_000
BYTES_PER_SECOND = 62_500
PIECE_BYTES = 6_250


def large_picture() -> bytes:
    """Return a picture that can hardly be packed."""
    buffer = io.BytesIO()
    grain = Image.effect_noise((2700, 2700), 100)
    Image.merge("RGB", (grain, grain, grain)).save(buffer, "JPEG", quality=97)
    return buffer.getvalue()


async def test_large_photo_over_a_slow_line_is_accepted(person) -> None:
    data = large_picture()
    assert len(data) > LEAST_BYTES
    await person.agree()
    link = (await person.app.ask_to_upload()).document

    async def slowly():
        began = time.monotonic()
        for start in range(0, len(data), PIECE_BYTES):
            await asyncio.sleep(max(0.0, began + start / BYTES_PER_SECOND - time.monotonic()))
            yield data[start : start + PIECE_BYTES]

    headers = {"Content-Type": "image/jpeg", "Content-Length": str(len(data))}
    began = time.monotonic()
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http,
        http.put(link["upload_url"], data=slowly(), headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["file_size"] == len(data)
    print(f"\n{len(data)} bytes in {time.monotonic() - began:.0f} s")
    confirmed = await person.app.confirm(link["photo_id"], file_size=len(data), width=1, height=1)
    assert confirmed.status == 200
