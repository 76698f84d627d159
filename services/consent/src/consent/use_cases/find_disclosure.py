"""Say whether somebody's pictures may be given out in answer to their request to know."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from chassis.db import Database
from consent.schemas import Disclosure
from consent.use_cases.find_regimes import find_regimes

NOT_DISCLOSED: Final[Mapping[str, str]] = {"ccpa": "11 CCR 7024(d)"}
"""Laws under which an answer must not disclose unique biometric data, and names the category instead.

That a picture of an iris is such data is the careful reading; the app shows it to its owner anyway.
"""


async def find_disclosure(database: Database, *, user_id: UUID) -> Disclosure:
    """Return whether pictures go into an export: no, when every law that the person is under forbids it.

    Of several laws the one that gives the person more wins: a copy under the GDPR has them (Article 15(3)).
    """
    laws = (await find_regimes(database, [user_id])).get(user_id, ())
    clauses = {NOT_DISCLOSED.get(law) for law in laws}
    withheld = bool(clauses) and None not in clauses
    return Disclosure(pictures=not withheld, clause=min(filter(None, clauses)) if withheld else None)
