"""Close the gates whose consents have lapsed, and tell those who act on them.

That a lapsed consent allows nothing needs no entry: every answer looks at the time. The entry raises the
epoch, so that what rested on the consent is destroyed as after a withdrawal.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chassis.clock import Clock
from chassis.db import Database, UnitOfWork
from chassis.subjects import lock_subjects
from consent.models import Gate, LedgerEntry
from consent.policy import EntryKind
from consent.repositories import Gates, GateState, GrantRow, Lapsed, Ledger
from contracts.consent import ConsentExpired
from contracts.fields import ConsentType

BATCH = 200


async def expire_consents(database: Database, *, clock: Clock) -> int:
    """Append an expiry for every consent that has lapsed, batch by batch; return how many.

    What somebody else holds at the moment, a change or an erasure of that person, is left to the next turn.
    """
    now, closed = clock.now(), 0
    last: Lapsed | None = None
    while True:
        async with database.unit_of_work() as uow:
            gates = Gates(uow.session)
            lapsed = await gates.lapsed(by=now, after=last, limit=BATCH)
            free = await lock_subjects(uow, database, {gate.user_id for gate in lapsed})
            ended = await gates.hold_lapsed([gate for gate in lapsed if gate.user_id in free], by=now)
            await close_lapsed(uow, ended)
        closed += len(ended)
        if len(lapsed) < BATCH:
            return closed
        last = lapsed[-1]


async def close_lapsed(uow: UnitOfWork, ended: Sequence[tuple[Gate, LedgerEntry]]) -> None:
    """Append and announce an expiry for each of these, whose gates the caller holds."""
    if ended:
        await Ledger(uow.session).append_ends(EntryKind.EXPIRY, ended)
    for gate, granted in ended:
        announce_expiry(uow, gate, granted)


async def close_lapsed_gate(uow: UnitOfWork, gate: GateState, granted: GrantRow) -> GateState:
    """Do that for one gate; return it as it stands then."""
    await Ledger(uow.session).append_end(EntryKind.EXPIRY, gate, granted)
    closed = replace(gate, epoch=gate.epoch + 1, ended_epoch=gate.epoch + 1)
    announce_expiry(uow, closed, granted)
    return closed


def announce_expiry(
    uow: UnitOfWork, gate: Gate | GateState, granted: LedgerEntry | GrantRow, *, at: datetime | None = None
) -> None:
    """Announce that this consent has ended, with the epoch of its gate; `at` is when, if it did not lapse."""
    if granted.consent_id is None:
        return
    uow.publish(
        ConsentExpired(
            user_id=gate.user_id,
            consent_id=granted.consent_id,
            consent_type=ConsentType(gate.consent_type),
            jurisdiction=granted.jurisdiction,
            epoch=gate.epoch,
            expired_at=at or granted.expires_at or granted.occurred_at,
        )
    )
