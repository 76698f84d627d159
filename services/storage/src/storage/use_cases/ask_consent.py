"""Ask consent before every use of a picture, and remember the answer for saying no."""

from uuid import UUID

from chassis.db import Database
from chassis.problems import PersonErased
from storage.consents import Consents
from storage.policy import ConsentRequired, ConsentState
from storage.repositories import Gates
from storage.use_cases.follow_consent import follow_consent


async def bring_gate_up_to_date(database: Database, consents: Consents, *, user_id: UUID) -> ConsentState:
    """Ask consent and move the person's gate to what it says.

    Raises `NeighbourUnavailable` when nothing can be known, `PersonErased`.
    """
    answer = await consents.ask(user_id)
    await take_over(database, consents, answer, user_id=user_id)
    return answer


async def take_over(database: Database, consents: Consents, answer: ConsentState, *, user_id: UUID) -> None:
    """Move the person's gate to an answer of consent, if it is news; raises `PersonErased`."""
    async with database.read_only() as session:
        heard = await Gates(session).look_at(user_id, person_hash=database.tombstone_keys.hashes(user_id))
    if heard.erased:
        raise PersonErased
    if answer.is_news_to(heard.epochs):
        async with database.unit_of_work() as uow:
            await follow_consent(
                uow,
                user_id=user_id,
                state=answer,
                grace=consents.withdrawal_grace,
                reason=answer.reason_of_end(heard.epochs),
            )


async def ask_consent(database: Database, consents: Consents, *, user_id: UUID) -> ConsentState:
    """Return a yes with its epoch; raises `ConsentRequired` for a no, and like `bring_gate_up_to_date`."""
    answer = await bring_gate_up_to_date(database, consents, user_id=user_id)
    if not answer.granted:
        raise ConsentRequired
    return answer
