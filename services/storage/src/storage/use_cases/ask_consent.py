"""Ask consent before every use of a picture, and remember the answer for saying no."""

from datetime import datetime
from uuid import UUID

from chassis.db import Database
from storage.consents import Consents
from storage.policy import ConsentAnswer, ConsentRequired
from storage.use_cases.follow_consent import absorb_answer


async def ask_consent(
    database: Database, consents: Consents, *, user_id: UUID, now: datetime
) -> ConsentAnswer:
    """Return a yes with its epoch.

    Raises `ConsentRequired` for a no, `NeighbourUnavailable` when nothing can be known, `PersonErased`.
    """
    answer = await consents.ask(user_id)
    async with database.unit_of_work() as uow:
        await absorb_answer(uow, user_id=user_id, answer=answer, now=now)
    if not answer.granted:
        raise ConsentRequired
    return answer
