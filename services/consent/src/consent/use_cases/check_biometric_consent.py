"""Tell a person whether pictures may be taken now."""

from datetime import datetime
from uuid import UUID

from chassis.db import Database
from chassis.problems import PersonErased
from consent.jurisdictions import Hints
from consent.policy import Consent, consent_of, law_that_asks_for_more, utc_day
from consent.repositories import Gates
from consent.rulebook import Rulebook
from contracts.fields import ConsentType


async def check_biometric_consent(
    database: Database, *, user_id: UUID, seen: Hints, rulebook: Rulebook, now: datetime
) -> Consent | None:
    """Return the live biometric consent, if there is one that is enough where the person is seen.

    Raises `PersonErased`.
    """
    async with database.read_only() as session:
        standing = await Gates(session).look_at(
            user_id, ConsentType.BIOMETRIC_CAPTURE, person_hash=database.tombstone_keys.hashes(user_id)
        )
    if standing.erased:
        raise PersonErased
    if standing.granted is None:
        return None
    consent = consent_of(standing.granted)
    if not consent.is_live(rulebook, now):
        return None
    return None if law_that_asks_for_more(rulebook, consent, seen, utc_day(now)) else consent
