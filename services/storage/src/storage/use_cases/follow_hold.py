"""Keep what a law wants kept whatever else would destroy it, and destroy it when that has ended.

A withdrawal, the end of a consent and the deletion of a photo go on as ever for everybody who reads: only the
bytes stay, sealed, and nobody is given them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from chassis.db import Database, UnitOfWork
from chassis.holds import Hold, ListHolds
from chassis.problems import PersonErased
from contracts.fields import PhotoDeletionReason
from storage.repositories.standing_holds import StandingHolds
from storage.use_cases.release_photo import release_photo

BATCH = 100


async def follow_hold(uow: UnitOfWork, user_id: UUID, hold: Hold, *, ended_at: datetime | None) -> None:
    """Note a hold or its end, and let go of what nothing keeps any more; raises `PersonErased`."""
    await uow.lock_subject(user_id)
    await StandingHolds(uow.session).keep(user_id, hold, ended_at=ended_at, now=uow.now())
    if ended_at is not None:
        await _let_go(uow, user_id)


async def reconcile_holds(database: Database, list_holds: ListHolds) -> None:
    """Take over all that the coordinator says is held now, whatever became of its messages."""
    asked_at = database.clock.now()
    listed = await list_holds()
    for user_id, hold in _each(listed):
        try:
            async with database.unit_of_work() as uow:
                await follow_hold(uow, user_id, hold, ended_at=None)
        except PersonErased:
            # The erasure brings its holds itself.
            continue
    named = [hold.hold_id for _, hold in _each(listed)]
    async with database.unit_of_work() as uow:
        await StandingHolds(uow.session).end_others(named, heard_by=asked_at, now=uow.now())


async def release_held_photos(database: Database) -> int:
    """Destroy what was kept by holds that have ended; return of how many people that was."""
    done, more = 0, True
    while more:
        async with database.read_only() as session:
            people = await StandingHolds(session).let_go_of(now=database.clock.now(), limit=BATCH)
        before = done
        for user_id in people:
            try:
                async with database.unit_of_work() as uow:
                    await uow.lock_subject(user_id)
                    await _let_go(uow, user_id)
            except PersonErased:
                # It is the erasure's now.
                continue
            done += 1
        # Of whom erasures are under way are found again and again until these have come so far.
        more = len(people) == BATCH and done > before
    async with database.unit_of_work() as uow:
        await StandingHolds(uow.session).forget(now=uow.now())
    return done


async def _let_go(uow: UnitOfWork, user_id: UUID) -> None:
    for photo in await StandingHolds(uow.session).lock_let_go_of(user_id, now=uow.now()):
        if photo.released_for is not None:
            await release_photo(uow, photo, reason=PhotoDeletionReason(photo.released_for))


def _each(listed: Mapping[UUID, Sequence[Hold]]) -> Iterator[tuple[UUID, Hold]]:
    return ((user_id, hold) for user_id, holds in listed.items() for hold in holds)
