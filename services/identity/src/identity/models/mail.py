"""Mails to be sent and the single-use tokens in their links."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import DataClass
from chassis.tables import lease_check, not_exported, of_class, on_erase
from chassis.work_rows import LeasedRow
from identity.models.base import Base


class Mail(LeasedRow, Base):
    """A mail that was asked for; without an account it is a dummy that nobody gets."""

    __tablename__ = "mails"
    __table_args__ = (
        Index("ix_mails_unsent", "next_attempt_at", postgresql_where=text("settled_at IS NULL")),
        Index("ix_mails_settled", "settled_at", postgresql_where=text("settled_at IS NOT NULL")),
        lease_check(),
        {"info": on_erase("delete", pruned_by="forget-what-expired")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("identity.users.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(40))
    new_address: Mapped[str | None] = mapped_column(String(320), info=of_class(DataClass.CONTACT))
    requested_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    refused: Mapped[bool] = mapped_column(server_default=text("false"))
    admitted: Mapped[bool] = mapped_column(server_default=text("false"), info=not_exported())


class MailToken(Base):
    """The right that a link in a mail carries; only its hash is kept (OWASP Forgot Password).

    One that has confirmed an address stays until it expires, so that a repeat gets the same answer.
    """

    __tablename__ = "mail_tokens"
    __table_args__ = ({"info": on_erase("delete", pruned_by="forget-what-expired")},)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(40))
    new_address: Mapped[str | None] = mapped_column(String(320), info=of_class(DataClass.CONTACT))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
