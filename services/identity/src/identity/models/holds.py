"""What must not be erased yet."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import of_class, on_erase
from identity.models.base import Base


class ErasureHold(Base):
    """A duty to keep something of a person: one `record` of a kind that a service holds, or all of the kind.

    `code` and `legal_reference` say why, `approver` who answers for it. It ends at `expires_at`, or earlier
    by a release. `user_id` and `record` are emptied when the erasure of the person is complete. Officers are
    keyed hashes of the accounts that asked over HTTP; null where an operator's command did.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("expires_at > placed_at", name="has_an_end"),
        CheckConstraint("user_id IS NOT NULL OR ended_at IS NOT NULL", name="person_until_ended"),
        CheckConstraint(
            "num_nulls(released_by, release_reason) IN (0, 2)"
            " AND (released_by IS NULL OR ended_at IS NOT NULL)",
            name="released_with_a_reason",
        ),
        Index("ix_holds_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
        Index("ix_holds_in_force", "expires_at", postgresql_where=text("ended_at IS NULL")),
        {
            "info": on_erase(
                "null: what leads to the person is emptied when the erasure is complete; the ground stays",
                pruned_by="kept: the reason why something was not erased at once",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.ERASURE,
                    retention="the person's id until the erasure is complete, the rest for ever",
                ),
            )
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(info=of_class(DataClass.ACCOUNT))
    erasure_id: Mapped[UUID | None] = mapped_column(ForeignKey("identity.erasures.id"), index=True)
    service: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(40))
    record: Mapped[UUID | None] = mapped_column(info=of_class(DataClass.PSEUDONYM))
    code: Mapped[str] = mapped_column(String(64))
    legal_reference: Mapped[str] = mapped_column(String(200))
    approver: Mapped[str] = mapped_column(String(100))
    placed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    released_by: Mapped[str | None] = mapped_column(String(100))
    release_reason: Mapped[str | None] = mapped_column(String(200))
    placing_officer: Mapped[str | None] = mapped_column(String(64), info=of_class(DataClass.PSEUDONYM))
    releasing_officer: Mapped[str | None] = mapped_column(String(64), info=of_class(DataClass.PSEUDONYM))
