"""The gate of one person is a register: every history of grants, withdrawals and questions has an order.

Each version of a gate has an epoch of its own, which makes the check exact: a history is linearizable
(Herlihy and Wing, 1990) when each operation can be given a version, such that no operation gets an older one
than an operation that had ended before it began, and none gets a version before its writing began.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID

import pytest

READERS = 8
WRITERS = 2
CHANGES = 3


@dataclass
class Operation:
    """What somebody asked for and was answered, between two ticks of the history's clock."""

    kind: str
    began: int
    ended: int
    answer: dict[str, Any]


@dataclass
class History:
    """Everything that was done to one gate, in one order of beginnings and ends."""

    operations: list[Operation] = field(default_factory=list)
    clock: Iterator[int] = field(default_factory=count)

    async def record(self, kind: str, call: Coroutine[Any, Any, Any], *, ok: int) -> dict[str, Any]:
        began = next(self.clock)
        answer = await call
        assert answer.status_code == ok, answer.text
        self.operations.append(Operation(kind, began, next(self.clock), answer.json()))
        return self.operations[-1].answer


class Versions:
    """The versions of one gate, as its ledger has them: an epoch, and the consent that is open, if one is."""

    def __init__(self, entries: list[Any]) -> None:
        self.open: Final = {0: None} | {
            entry["epoch"]: str(entry["consent_id"]) if entry["kind"] == "grant" else None
            for entry in entries
        }
        self._granted = {consent: epoch for epoch, consent in self.open.items() if consent}
        self._withdrawn = {entry["occurred_at"].isoformat(): entry["epoch"] for entry in entries}

    def written_by(self, operation: Operation) -> int:
        """Return the epoch that the operation wrote, or that another one had written before it."""
        if operation.kind == "withdraw":
            return self._withdrawn[operation.answer["withdrawn_at"].replace("Z", "+00:00")]
        return self._granted[operation.answer["id"]]

    def allows(self, operation: Operation, epoch: int) -> bool:
        """Tell whether the operation could have been answered so at that version."""
        match operation.kind:
            case "ask":
                answer = operation.answer
                return epoch == answer["epoch"] and answer["consent_id"] == self.open[epoch]
            case "grant":
                return self.open[epoch] == operation.answer["id"]
            case _:
                return epoch >= self.written_by(operation)


def violation(operations: list[Operation], versions: Versions) -> str | None:
    """Say what can't be put in order, or nothing."""
    writing = Counter[int]()
    for one in operations:
        if one.kind != "ask":
            epoch = versions.written_by(one)
            writing[epoch] = min(writing.get(epoch, one.began), one.began)
    placed: list[tuple[int, Operation]] = []
    for one in sorted(operations, key=lambda operation: operation.began):
        seen = max((epoch for epoch, other in placed if other.ended < one.began), default=0)
        # The oldest version that fits leaves the most room for whatever comes later.
        fitting = [epoch for epoch in versions.open if epoch >= seen and versions.allows(one, epoch)]
        if not fitting:
            return f"{one} came after version {seen} and fits none since"
        if fitting[0] > 0 and one.ended < writing.get(fitting[0], one.ended + 1):
            return f"{one} saw version {fitting[0]} before anybody wrote it"
        placed.append((fitting[0], one))
    return None


async def interleave(seed: int, ann: Any, ask: Callable[..., Any]) -> History:
    """Have two devices change their mind while eight readers ask, in an order that the seed decides."""
    chance, history = random.Random(seed), History()

    async def device() -> None:
        mine = None
        for _ in range(CHANGES):
            if mine is not None and chance.random() < 0.5:
                await history.record("withdraw", ann.withdraw(mine), ok=200)
                mine = None if chance.random() < 0.5 else mine
            else:
                call = ann.agree(jurisdiction=chance.choice(["gdpr", "uk_gdpr"]))
                mine = (await history.record("grant", call, ok=201))["id"]

    devices = [asyncio.ensure_future(device()) for _ in range(WRITERS)]

    async def reader() -> None:
        while not all(one.done() for one in devices):
            await history.record("ask", ask(ann.id), ok=200)

    await asyncio.gather(*devices, *(reader() for _ in range(READERS)))
    return history


async def interleavings(seeds: range, person: Any, ask: Any, admin: Any) -> Counter[str]:
    seen = Counter[str]()
    for seed in seeds:
        ann = person()
        history = await interleave(seed, ann, ask)
        entries = await admin.fetch(
            "SELECT epoch, kind, consent_id, occurred_at FROM consent.entries"
            " WHERE user_id = $1 ORDER BY epoch",
            ann.id,
        )
        assert violation(history.operations, Versions(entries)) is None, f"seed {seed}"
        seen.update(operation.kind for operation in history.operations)
        seen["versions"] += len(entries)
        seen["seen half way"] += len({one.answer.get("epoch") for one in history.operations} - {None}) > 2
    return seen


async def test_questions_beside_grants_and_withdrawals_are_answered_in_one_order(
    person, ask, admin, unlimited
) -> None:
    """K14: every answer is that of one moment between the question and its answer."""
    seen = await interleavings(range(40), person, ask, admin)
    # The readers do meet the gate between its changes, or they would prove nothing.
    assert seen["seen half way"] > 20


@pytest.mark.chaos
async def test_a_thousand_interleavings_violate_no_order(person, ask, admin, unlimited) -> None:
    """K14, at length."""
    seen = await interleavings(range(1000, 2000), person, ask, admin)
    print(f"\n1,000 interleavings with {READERS} readers: {dict(seen)}, 0 violations")


THEN = datetime(2026, 1, 1, tzinfo=UTC)
GRANTED, OTHER = (str(UUID(int=number)) for number in (1, 2))
GATE: Final = Versions(
    [
        {"epoch": 1, "kind": "grant", "consent_id": GRANTED, "occurred_at": THEN},
        {"epoch": 2, "kind": "withdrawal", "consent_id": GRANTED, "occurred_at": THEN + timedelta(hours=1)},
        {"epoch": 3, "kind": "grant", "consent_id": OTHER, "occurred_at": THEN + timedelta(hours=2)},
    ]
)


def asked(began: int, ended: int, epoch: int, consent_id: str | None) -> Operation:
    return Operation("ask", began, ended, {"epoch": epoch, "consent_id": consent_id})


@pytest.mark.parametrize(
    ("question", "in_order"),
    [
        pytest.param(asked(12, 13, 1, GRANTED), True, id="between grant and withdrawal"),
        pytest.param(asked(21, 22, 2, None), True, id="beside the withdrawal, after it"),
        pytest.param(asked(21, 22, 1, GRANTED), True, id="beside the withdrawal, before it"),
        pytest.param(asked(31, 32, 1, GRANTED), False, id="a yes after the withdrawal"),
        pytest.param(asked(12, 13, 0, None), False, id="a no after the grant"),
        pytest.param(asked(12, 13, 2, None), False, id="a no before the withdrawal"),
        pytest.param(asked(41, 42, 2, GRANTED), False, id="an answer of two versions"),
        pytest.param(asked(0, 1, 1, GRANTED), False, id="a yes before the grant"),
    ],
)
def test_what_has_no_order_is_found(question, in_order) -> None:
    withdrawn = {"id": GRANTED, "withdrawn_at": (THEN + timedelta(hours=1)).isoformat()}
    changes = [
        Operation("grant", 10, 11, {"id": GRANTED}),
        Operation("withdraw", 20, 30, withdrawn),
        Operation("grant", 50, 51, {"id": OTHER}),
        Operation("withdraw", 60, 61, withdrawn),
    ]
    assert (violation([*changes, question], GATE) is None) is in_order
