"""Every query about accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from chassis import scripts
from chassis.driver import Statements
from chassis.repository import Repository
from identity.models import Session, User


class Account(NamedTuple):
    """An account as it was read, locked by nobody."""

    id: UUID
    email: str
    password_hash: str | None
    auth_provider: str
    is_active: bool
    is_verified: bool
    created_at: datetime
    updated_at: datetime


_USERS = cast("Table", User.__table__)
# What every sign-in and every call asks is built once: building takes as long as the answer.
_ACCOUNT = select(*(_USERS.c[name] for name in Account._fields))
_WITH_EMAIL = _ACCOUNT.where(User.email_key == bindparam("key"), User.erasure_id.is_(None))
_SIGNED_IN = (
    _ACCOUNT.add_columns(Session.__table__.c.seen_generation)
    .join(Session, Session.user_id == User.id)
    .where(
        User.id == bindparam("user_id"),
        User.is_active,
        Session.id == bindparam("session_id"),
        Session.ended_at.is_(None),
    )
)
_LOCKED = select(User).where(User.id == bindparam("user_id")).with_for_update()


class Users(Repository):
    """Accounts."""

    async def add(self, user: User) -> bool:
        """Insert the account; False when the address belongs to another one."""
        values = {column.key: getattr(user, column.key) for column in User.__table__.columns}
        columns = {name: value for name, value in values.items() if value is not None}
        statement = insert(User).values(columns).on_conflict_do_nothing().returning(User.id)
        return await self._session.scalar(statement) is not None

    async def with_email(self, key: str) -> Account | None:
        """Return the live account with that normalised address."""
        row = (await self._session.execute(_WITH_EMAIL, {"key": key})).one_or_none()
        return Account(*row) if row is not None else None

    async def signed_in(self, user_id: UUID, session_id: UUID) -> tuple[Account, int] | None:
        """Return the account if it is active and that session of it has not ended, with what of it was seen.

        That is the highest generation of the session whose access token was used.
        """
        rows = await self._session.execute(_SIGNED_IN, {"user_id": user_id, "session_id": session_id})
        row = rows.one_or_none()
        return (Account(*row[:-1]), row[-1]) if row is not None else None

    async def is_officer(self, user_id: UUID) -> bool:
        """Tell whether an active account may operate the platform."""
        found = select(User.id).where(User.id == user_id, User.is_admin, User.is_active)
        return await self._session.scalar(found) is not None

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

    async def hold(self, user_id: UUID) -> bool:
        """Lock the account until the transaction ends; False when there is none."""
        return await self._holds(id=user_id)

    async def hold_unchanged(self, user_id: UUID, *, password_hash: str) -> bool:
        """Lock the account; False when it is closed, or has another password by now."""
        return await self._holds(id=user_id, is_active=True, password_hash=password_hash)

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Store a better hash of the same password."""
        await self._session.execute(
            update(User).where(User.id == user_id).values(password_hash=password_hash)
        )

    async def share(self, user_id: UUID) -> User | None:
        """Return the account; until the transaction ends nobody else locks it."""
        statement = select(User).where(User.id == user_id).with_for_update(read=True, key_share=True)
        return await self._session.scalar(statement)

    async def destroy(self, user_ids: Sequence[UUID]) -> None:
        """Delete accounts; their sessions go with them."""
        await self._session.execute(delete(User).where(User.id.in_(user_ids)))

    async def _holds(self, **values: Any) -> bool:
        # A script, because it travels with the begin.
        lock = scripts.lock_row(_USERS, **values)
        return await Statements(self._session).run(lock, purpose="lock an account") != scripts.NOTHING_FOUND
