"""Accounts and sessions."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Sequence, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import of_class, on_erase
from identity.models.base import SCHEMA, Base

REVOCATION_POSITIONS = Sequence("session_revocation_positions", schema=SCHEMA)


class User(Base):
    """An account."""

    __tablename__ = "users"
    __table_args__ = (
        # A person who asked to be erased may register the same address again at once.
        Index(
            "uq_users_email_key_live", "email_key", unique=True, postgresql_where=text("erasure_id IS NULL")
        ),
        {"info": on_erase("delete", pruned_by="erasure")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), info=of_class(DataClass.CONTACT))
    email_key: Mapped[str] = mapped_column(String(320), info=of_class(DataClass.CONTACT, in_export=False))
    password_hash: Mapped[str | None] = mapped_column(
        String(255), info=of_class(DataClass.CREDENTIAL, in_export=False)
    )
    auth_provider: Mapped[str] = mapped_column(String(20))
    is_active: Mapped[bool]
    is_verified: Mapped[bool]
    is_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    active_on: Mapped[date | None]
    erasure_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Session(Base):
    """A sign-in on one device; its refresh token is derived from id and generation, never stored.

    `seen_generation` is the highest generation whose access token was used: since then its predecessor's
    refresh token is a copy.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_reason"),
        Index("ix_sessions_created_at", "created_at", postgresql_using="brin"),
        Index("ix_sessions_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        {"info": on_erase("delete", pruned_by="forget-what-expired")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int]
    seen_generation: Mapped[int] = mapped_column(server_default=text("1"))
    rotated_at: Mapped[datetime]
    authenticated_at: Mapped[datetime]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    user_agent: Mapped[str | None] = mapped_column(String(200), info=of_class(DataClass.DEVICE))
    ip_prefix: Mapped[str | None] = mapped_column(String(50), info=of_class(DataClass.DEVICE))
    end_reason: Mapped[str | None] = mapped_column(String(40))


class SessionRevocation(Base):
    """A session whose access tokens must be refused; a row may go when the last of them has expired.

    It has a position once the feed was read.
    """

    __tablename__ = "session_revocations"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: a session id, no person's, until its access tokens have expired",
                pruned_by="forget-what-expired",
                about=About(
                    data_class=DataClass.PSEUDONYM,
                    purpose=Purpose.SECURITY,
                    retention="until the session's access tokens have expired",
                ),
            )
        },
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True, index=True)
    revoked_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
