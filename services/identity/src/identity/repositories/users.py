"""Every query about accounts."""

from uuid import UUID

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from identity.models import Session, User

# Every sign-in and every call of somebody signed in needs them, and building one takes as long as its answer.
_WITH_EMAIL = select(User).where(User.email_key == bindparam("key"), User.erasure_id.is_(None))
_LOCKED = select(User).where(User.id == bindparam("user_id")).with_for_update()
_SIGNED_IN = (
    select(User, Session.seen_generation)
    .join(Session, Session.user_id == User.id)
    .where(
        User.id == bindparam("user_id"),
        User.is_active,
        Session.id == bindparam("session_id"),
        Session.ended_at.is_(None),
    )
)


class Users:
    """Accounts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, user: User) -> bool:
        """Insert the account; False when the address belongs to another one."""
        values = {column.key: getattr(user, column.key) for column in User.__table__.columns}
        columns = {name: value for name, value in values.items() if value is not None}
        statement = insert(User).values(columns).on_conflict_do_nothing().returning(User.id)
        return await self._session.scalar(statement) is not None

    async def with_email(self, key: str) -> User | None:
        """Return the live account with that normalised address."""
        return await self._session.scalar(_WITH_EMAIL, {"key": key})

    async def find(self, user_id: UUID) -> User | None:
        """Return the account."""
        return await self._session.get(User, user_id)

    async def change_email(self, user: User, email: str, *, key: str) -> bool:
        """Give the account another address; False when it belongs to another one."""
        taken = exists().where(User.email_key == key, User.erasure_id.is_(None), User.id != user.id)
        statement = (
            update(User)
            .where(User.id == user.id, ~taken)
            .values(email=email, email_key=key)
            .returning(User.id)
        )
        try:
            async with self._session.begin_nested():
                changed = await self._session.scalar(statement)
        except IntegrityError:
            # Two accounts confirmed the same address at once; the unique index let the other one through.
            return False
        await self._session.refresh(user)
        return changed is not None

    async def lock(self, user_id: UUID) -> User | None:
        """Return the account, locked until the transaction ends."""
        return await self._session.scalar(_LOCKED, {"user_id": user_id})

    async def share(self, user_id: UUID) -> User | None:
        """Return the account; until the transaction ends nobody else locks it."""
        statement = select(User).where(User.id == user_id).with_for_update(read=True, key_share=True)
        return await self._session.scalar(statement)

    async def lock_owner_of(self, session_id: UUID) -> User | None:
        """Return the account that a session belongs to, locked until the transaction ends."""
        owner = select(Session.user_id).where(Session.id == session_id).scalar_subquery()
        return await self._session.scalar(select(User).where(User.id == owner).with_for_update())

    async def signed_in(self, user_id: UUID, session_id: UUID) -> tuple[User, int] | None:
        """Return the account if it is active and that session of it has not ended, with what of it was seen.

        That is the highest generation of the session whose access token was used.
        """
        rows = await self._session.execute(_SIGNED_IN, {"user_id": user_id, "session_id": session_id})
        found = rows.one_or_none()
        return (found[0], found[1]) if found is not None else None

    async def destroy(self, user_id: UUID) -> None:
        """Delete the account; its sessions go with it."""
        await self._session.execute(delete(User).where(User.id == user_id))
