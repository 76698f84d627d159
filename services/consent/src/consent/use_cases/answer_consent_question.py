"""Answer another service that is about to act on a consent."""

from datetime import datetime
from uuid import UUID

from chassis.db import Database
from consent.jurisdictions import Hints
from consent.policy import consent_of, law_that_asks_for_more, utc_day
from consent.repositories import Gates
from consent.rulebook import Rulebook
from consent.schemas import ConsentAnswer
from contracts.fields import ConsentType


async def answer_consent_question(
    database: Database,
    *,
    user_id: UUID,
    consent_type: ConsentType,
    seen: Hints,
    rulebook: Rulebook,
    now: datetime,
) -> ConsentAnswer:
    """Answer from the gate and its one open grant; no for anyone unknown and whose erasure has begun.

    `seen` is where the person is at this moment, as far as the asking service knows.
    """
    async with database.read_only() as session:
        standing = await Gates(session).look_at(
            user_id, consent_type, person_hash=database.tombstone_keys.hashes(user_id)
        )
    live = None if standing.granted is None or standing.erased else consent_of(standing.granted)
    if live is not None and not live.is_live(rulebook, now):
        live = None
    stricter = None if live is None else law_that_asks_for_more(rulebook, live, seen, utc_day(now))
    return ConsentAnswer(
        granted=live is not None,
        consent_id=live.id if live else None,
        epoch=standing.gate.epoch if standing.gate else 0,
        withdrawn_epoch=standing.gate.ended_epoch if standing.gate else 0,
        jurisdiction=live.jurisdiction if live else None,
        may_collect=live is not None and stricter is None,
        stricter_jurisdiction=stricter,
    )
