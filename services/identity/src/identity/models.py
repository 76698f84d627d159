"""The rows of identity's schema."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis.tables import Moment, on_erase, service_metadata

SCHEMA = "identity"


class Base(DeclarativeBase):
    """The base of identity's rows."""

    metadata = service_metadata(SCHEMA)
    type_annotation_map = {datetime: Moment}  # noqa: RUF012 - SQLAlchemy reads a plain dict


class User(Base):
    """An account."""

    __tablename__ = "users"
    __table_args__ = (
        # A person who asked to be erased may register the same address again at once.
        Index(
            "uq_users_email_key_live", "email_key", unique=True, postgresql_where=text("erasure_id IS NULL")
        ),
        {"info": on_erase("delete")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    auth_provider: Mapped[str] = mapped_column(String(20))
    is_active: Mapped[bool]
    is_verified: Mapped[bool]
    active_on: Mapped[date | None]
    erasure_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Session(Base):
    """A sign-in on one device; its refresh token is derived from id and generation, never stored."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_reason"),
        {"info": on_erase("delete")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int]
    rotated_at: Mapped[datetime]
    authenticated_at: Mapped[datetime]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(40))


class SessionRevocation(Base):
    """A session whose access tokens must be refused; a row may go when the last of them has expired."""

    __tablename__ = "session_revocations"
    __table_args__ = (
        {"info": on_erase("retain: a session id, no person's, until its access tokens have expired")},
    )

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    session_id: Mapped[UUID]
    revoked_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Participant(Base):
    """A service that has announced that it takes part in erasures or exports."""

    __tablename__ = "participants"
    __table_args__ = ({"info": on_erase("retain: names of services")},)

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    handles: Mapped[list[str]] = mapped_column(ARRAY(String(20)))
    version: Mapped[str] = mapped_column(String(32))
    joined_at: Mapped[datetime]


class Erasure(Base):
    """A person's request to be erased; `user_id` is emptied when the last participant has reported."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("(completed_at IS NULL) = (user_id IS NOT NULL)", name="person_until_completed"),
        Index("ix_erasures_open", "requested_at", postgresql_where=text("completed_at IS NULL")),
        {"info": on_erase("null: the person's id is emptied on completion; counts and times stay as proof")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None]
    status_token_hash: Mapped[str] = mapped_column(String(64))
    requested_at: Mapped[datetime]
    deadline: Mapped[datetime]
    asked_at: Mapped[datetime]
    times_asked: Mapped[int]
    overdue_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]


class ErasureParticipant(Base):
    """What one participant has said about one erasure."""

    __tablename__ = "erasure_participants"
    __table_args__ = ({"info": on_erase("retain: counts and times, the proof of the erasure")},)

    erasure_id: Mapped[UUID] = mapped_column(ForeignKey("identity.erasures.id"), primary_key=True)
    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    completed_at: Mapped[datetime | None]
    erased: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    digest: Mapped[str | None] = mapped_column(String(64))
