"""Every query about passkeys and their challenges."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from identity.models import Passkey, PasskeyChallenge


class Passkeys(Repository):
    """The credentials that sign people in."""

    async def add(self, passkey: Passkey) -> bool:
        """Insert the passkey; False when its credential is registered, by whomever."""
        columns = {column.key: getattr(passkey, column.key) for column in Passkey.__table__.columns}
        statement = insert(Passkey).values(columns).on_conflict_do_nothing().returning(Passkey.id)
        return await self._session.scalar(statement) is not None

    async def of(self, user_id: UUID) -> Sequence[Passkey]:
        """Return a person's passkeys, oldest first."""
        statement = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.created_at, Passkey.id)
        return (await self._session.scalars(statement)).all()

    async def with_credential(self, credential_id: bytes) -> Passkey | None:
        """Return the passkey with that credential."""
        return await self._session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))

    async def lock(self, passkey_id: UUID) -> Passkey | None:
        """Return the passkey, locked until the transaction ends."""
        return await self._session.scalar(select(Passkey).where(Passkey.id == passkey_id).with_for_update())

    async def remove(self, passkey_id: UUID, *, user_id: UUID) -> bool:
        """Delete a person's passkey; False when they have no such one."""
        statement = (
            delete(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id).returning(Passkey.id)
        )
        return await self._session.scalar(statement) is not None

    async def count(self, user_id: UUID) -> int:
        """Return how many passkeys a person has."""
        statement = select(func.count()).select_from(Passkey).where(Passkey.user_id == user_id)
        return int(await self._session.scalar(statement) or 0)


class PasskeyChallenges(Repository):
    """Challenges that wait for their answers."""

    def add(self, challenge: PasskeyChallenge) -> None:
        """Insert the challenge."""
        self._session.add(challenge)

    async def take(self, challenge_hash: str, purpose: str, *, user_id: UUID | None, now: datetime) -> bool:
        """Use the challenge up; False when it is unknown, used, expired, or was made for something else."""
        statement = (
            delete(PasskeyChallenge)
            .where(
                PasskeyChallenge.challenge_hash == challenge_hash,
                PasskeyChallenge.purpose == purpose,
                PasskeyChallenge.user_id.is_not_distinct_from(user_id),
                PasskeyChallenge.expires_at > now,
            )
            .returning(PasskeyChallenge.challenge_hash)
        )
        return await self._session.scalar(statement) is not None

    async def forget_expired(self, *, now: datetime) -> None:
        """Delete the challenges whose time is over."""
        await self._session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.expires_at <= now))
