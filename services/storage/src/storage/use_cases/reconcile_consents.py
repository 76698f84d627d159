"""Compare open gates with consent, so that a lost message loses no withdrawal."""

from datetime import datetime

from chassis.db import Database
from chassis.problems import PersonErased
from storage.consents import Consents
from storage.repositories import Gates
from storage.use_cases.follow_consent import absorb_answer


async def reconcile_consents(
    database: Database, consents: Consents, *, now: datetime, unchecked_since: datetime
) -> int:
    """Ask about the gates that were not compared since then, a batch at a time; return how many were asked.

    Raises `NeighbourUnavailable`; the next turn goes on where this one stopped.
    """
    asked = 0
    while True:
        async with database.unit_of_work() as uow:
            people = await Gates(uow.session).open_longest_unchecked(before=unchecked_since)
        for user_id in people:
            answer = await consents.ask(user_id)
            try:
                async with database.unit_of_work() as uow:
                    await absorb_answer(uow, user_id=user_id, answer=answer, now=now)
                    (await Gates(uow.session).hold(user_id, now=now)).checked_at = now
            except PersonErased:
                # Their erasure removes the gate; until then there is nothing to compare.
                async with database.unit_of_work() as uow:
                    await Gates(uow.session).remove(user_id)
        asked += len(people)
        if not people:
            return asked
