"""Every golden example of what the gateway hears goes through its real consumer, twice."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import contracts
from contracts.envelope import parse
from contracts.identity import SessionRevoked
from contracts.topology import subscription
from gateway.consumers import DENY_SESSIONS, Ears
from gateway.denylist import DenyList

EXAMPLES = Path(contracts.__file__).parents[2] / "examples"
HEARD = [
    example
    for event_type in subscription(DENY_SESSIONS).types
    for example in sorted((EXAMPLES / event_type).glob("*.json"))
]


class Delivery:
    """One delivery from the queue, and what became of it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.outcome = ""

    async def ack(self) -> None:
        self.outcome = "ack"

    async def reject(self, *, requeue: bool) -> None:
        self.outcome = "requeue" if requeue else "dead letter"


def test_there_are_examples_of_everything_heard() -> None:
    assert {path.parent.name for path in HEARD} == set(subscription(DENY_SESSIONS).types)


@pytest.mark.parametrize("body", [path.read_bytes() for path in HEARD], ids=[path.stem for path in HEARD])
async def test_example_is_understood_and_hearing_it_twice_changes_nothing(body: bytes) -> None:
    assert parse(body, SessionRevoked)
    denylist = DenyList(keep=timedelta(hours=1))
    ears = Ears("amqp://127.0.0.1:1", denylist)
    known: list[Any] = []
    for _ in range(2):
        delivery = Delivery(body)
        await ears.receive(delivery)  # type: ignore[arg-type]
        assert delivery.outcome == "ack"
        known.append(len(denylist))
    assert known == [1, 1]


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b'{"type":"identity.session.revoked.v2"}'])
async def test_anything_else_goes_to_the_dead_letters(body: bytes) -> None:
    denylist = DenyList(keep=timedelta(hours=1))
    delivery = Delivery(body)
    await Ears("amqp://127.0.0.1:1", denylist).receive(delivery)  # type: ignore[arg-type]
    assert delivery.outcome == "dead letter"
    assert len(denylist) == 0
