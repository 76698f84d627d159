"""How long an upload may take follows how fast it moves, not the clock."""

import asyncio
import time

import pytest

GRACE_SECONDS = 2.0
PIECE_BYTES = 4_000
PIECES_PER_SECOND = 8
"""Four times the least speed: a line of a quarter of a megabit."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    """Scale the patience with those who do not move at all, 10 s, down to a fifth."""
    monkeypatch.setattr("chassis.transfer_rate.GRACE_SECONDS", GRACE_SECONDS)


async def over_a_slow_line(data: bytes):
    """Send at the line's speed, by the clock: what a busy machine delays is caught up with."""
    began = time.monotonic()
    for number, start in enumerate(range(0, len(data), PIECE_BYTES)):
        await asyncio.sleep(max(0.0, began + number / PIECES_PER_SECOND - time.monotonic()))
        yield data[start : start + PIECE_BYTES]


async def test_an_upload_that_moves_takes_as_long_as_its_line_needs(ada, client, pictures) -> None:
    data, ticket = pictures.noise(480), await ada.ticket()
    began = time.monotonic()
    answer = await client.put(
        ticket["upload_url"], content=over_a_slow_line(data), headers={"Content-Type": "image/jpeg"}
    )
    assert time.monotonic() - began > 2 * GRACE_SECONDS
    assert (answer.status_code, answer.json()["file_size"]) == (200, len(data))


async def test_an_upload_that_stands_still_is_ended_and_may_be_repeated(ada, client, pictures) -> None:
    data, ticket = pictures.jpeg(), await ada.ticket()

    async def halting():
        yield data[:100]
        await asyncio.Event().wait()

    answer = await client.put(ticket["upload_url"], content=halting(), headers={"Content-Type": "image/jpeg"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:irisvue:problem:upload-interrupted")
    assert (await ada.put(ticket, data)).status_code == 200
