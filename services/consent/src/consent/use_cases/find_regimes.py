"""Find under which laws people are, before what they said is blanked."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from chassis.db import Database
from consent.repositories.regimes import Regimes


async def find_regimes(database: Database, user_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[str]]:
    """Return the codes of the regimes that the entries of each were made under, of whom there are any."""
    async with database.read_only() as session:
        return await Regimes(session).of_people(user_ids)
