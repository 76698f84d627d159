"""Ask consent before every use of a picture, and remember the answer for saying no."""

from uuid import UUID

from chassis.db import Database
from chassis.problems import PersonErased
from storage.consents import Consents, Whereabouts
from storage.policy import ConsentRequired, ConsentState
from storage.repositories import Gates
from storage.use_cases.follow_consent import follow_consent


async def bring_gate_up_to_date(
    database: Database, consents: Consents, *, user_id: UUID, seen: Whereabouts | None = None
) -> ConsentState:
    """Ask consent and move the person's gate to what it says.

    Raises `NeighbourUnavailable` when nothing can be known, `PersonErased`.
    """
    answer = await consents.ask(user_id, seen=seen)
    async with database.read_only() as session:
        heard = await Gates(session).look_at(user_id, person_hash=database.person_hash(user_id))
    if heard.erased:
        raise PersonErased
    if answer.is_news_to(heard.epochs):
        async with database.unit_of_work() as uow:
            await follow_consent(uow, user_id=user_id, state=answer)
    return answer


async def ask_consent(database: Database, consents: Consents, *, user_id: UUID) -> ConsentState:
    """Return a yes with its epoch; raises `ConsentRequired` for a no, and like `bring_gate_up_to_date`."""
    answer = await bring_gate_up_to_date(database, consents, user_id=user_id)
    if not answer.granted:
        raise ConsentRequired
    return answer


async def ask_consent_to_collect(
    database: Database, consents: Consents, *, user_id: UUID, seen: Whereabouts
) -> ConsentState:
    """Return a yes that is enough for something new where the person is seen; raises like `ask_consent`."""
    answer = await bring_gate_up_to_date(database, consents, user_id=user_id, seen=seen)
    if not answer.granted:
        raise ConsentRequired
    if answer.stricter_jurisdiction is not None:
        raise ConsentRequired(
            f"Where you are, the law asks for more than you agreed to: {answer.stricter_jurisdiction} holds."
            " Read its text and agree to that; the photos that you have stay.",
            extra={"reason": "stricter-jurisdiction-holds", "jurisdiction": answer.stricter_jurisdiction},
        )
    return answer
