"""What is written together leaves together, and nothing is kept back."""

import asyncio
from typing import Any

from gateway.server import JOINED_BYTES, _CountedTransport


class Wire:
    """Takes what is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False
        self.unsent = 0

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


def on(wire: Any) -> _CountedTransport:
    return _CountedTransport(wire, asyncio.get_running_loop())


async def turn() -> None:
    """Return when everything that is due now has run."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


async def test_head_and_body_are_one_write() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"head")
    transport.write(b"body")
    transport.write(b"")
    assert wire.writes == []
    await turn()
    assert wire.writes == [b"headbody"]
    transport.write(b"next")
    await turn()
    assert wire.writes == [b"headbody", b"next"]


async def test_large_piece_waits_for_nothing() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"head")
    transport.write(b"x" * JOINED_BYTES)
    assert wire.writes == [b"head" + b"x" * JOINED_BYTES]
    await turn()
    assert len(wire.writes) == 1


async def test_what_was_written_leaves_before_the_connection_is_closed() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"refusal")
    transport.close()
    assert (wire.writes, wire.closed) == ([b"refusal"], True)
    transport.write(b"too late")
    await turn()
    assert wire.writes == [b"refusal"]


async def test_sent_is_what_has_left_the_process() -> None:
    wire = Wire()
    transport = on(wire)
    transport.write(b"12345678")
    assert transport.sent == 0
    wire.unsent = 3
    await turn()
    assert transport.sent == 5
