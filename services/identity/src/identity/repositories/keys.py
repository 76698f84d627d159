"""Every query about signing keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import SigningKey


class SigningKeys:
    """The keys made by rotation."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, key: SigningKey) -> None:
        """Insert a key."""
        self._session.add(key)

    async def all(self) -> Sequence[SigningKey]:
        """Return every key, the first to become active first."""
        return (await self._session.scalars(select(SigningKey).order_by(SigningKey.active_from))).all()

    async def forget(self, *, active_before: datetime) -> None:
        """Delete keys that became active before that moment; the caller knows that each was replaced."""
        await self._session.execute(delete(SigningKey).where(SigningKey.active_from < active_before))
