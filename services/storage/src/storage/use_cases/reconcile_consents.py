"""Follow the feed of changed consents by position, so that a lost message loses no withdrawal."""

import asyncio
from datetime import datetime
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.problems import PersonErased
from storage.consents import ChangePage, Consents
from storage.policy import ConsentState
from storage.repositories import FeedPositions, Gates
from storage.use_cases.follow_consent import follow_consent

log = structlog.get_logger(__name__)


async def reconcile_consents(database: Database, consents: Consents) -> int:
    """Take over what has changed since the position that is kept; return how many gates were behind.

    It costs what has changed. Raises `NeighbourUnavailable`; the next turn goes on where this one stopped.
    """
    behind, clock = 0, asyncio.get_running_loop().time
    while True:
        began = clock()
        async with database.read_only() as session:
            position = await FeedPositions(session).current()
        page = await consents.changes(after=position)
        if page.last_position < position:
            log.warning("feed_of_consents_begins_again", position=position, last=page.last_position)
            page = await consents.changes(after=0)
        news = await _absorb(database, consents, page)
        behind += news
        if page.position != position:
            # Only when all of it is taken over: a page that is read again changes nothing.
            async with database.unit_of_work() as uow:
                await FeedPositions(uow.session).move(page.position)
        if page.complete or page.position == position:
            return behind
        if not news:
            # A way through what is known takes a third of the time; whoever has withdrawn waits for no rest.
            await asyncio.sleep(2 * (clock() - began))


async def _absorb(database: Database, consents: Consents, page: ChangePage) -> int:
    async with database.read_only() as session:
        known = await Gates(session).epochs_of(list(page.states))
    behind = {user: state for user, state in page.states.items() if state.is_news_to(known.get(user))}
    for user_id, answer in behind.items():
        await _follow(database, consents, user_id, answer, known=known.get(user_id))
    return len(behind)


async def _follow(
    database: Database,
    consents: Consents,
    user_id: UUID,
    answer: ConsentState,
    *,
    known: tuple[int, int] | None,
) -> None:
    try:
        async with database.unit_of_work() as uow:
            await follow_consent(
                uow,
                user_id=user_id,
                state=answer,
                grace=consents.withdrawal_grace,
                reason=answer.reason_of_end(known),
            )
    except PersonErased:
        # Their erasure removes the gate; until then there is nothing to compare.
        async with database.unit_of_work() as uow:
            await Gates(uow.session).remove(user_id)


async def compare_open_gates(database: Database, consents: Consents, *, unchecked_since: datetime) -> int:
    """Ask about every open gate that was not compared since then, a batch at a time; return how many.

    For an operator who trusts no position; it costs a question for each person. Raises
    `NeighbourUnavailable`; repeated, it goes on where it stopped.
    """
    asked = 0
    while True:
        async with database.unit_of_work() as uow:
            people = await Gates(uow.session).open_longest_unchecked(before=unchecked_since)
        async with database.read_only() as session:
            known = await Gates(session).epochs_of(people)
        for user_id in people:
            await _follow(database, consents, user_id, await consents.ask(user_id), known=known.get(user_id))
        asked += len(people)
        if not people:
            return asked
