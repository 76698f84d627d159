"""Every query about signing keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
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

    async def forget_replaced(self, *, before: datetime) -> None:
        """Delete the keys whose successor has signed since before that moment."""
        successor = select(func.max(SigningKey.active_from)).where(SigningKey.active_from <= before)
        await self._session.execute(
            delete(SigningKey).where(SigningKey.active_from < successor.scalar_subquery())
        )
