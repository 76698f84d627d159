"""Erasures and who takes part in them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import of_class, on_erase
from identity.models.base import Base

_NAMES_OF_SERVICES = About(
    data_class=DataClass.NOBODY, purpose=Purpose.ERASURE, retention="while the service takes part"
)
_PROOF = About(
    data_class=DataClass.NOBODY,
    purpose=Purpose.ERASURE,
    retention="the person's id until it is complete, the rest for ever",
)
_OPEN = text("completed_at IS NULL")


def _retirement() -> CheckConstraint:
    return CheckConstraint("(retired_at IS NULL) = (retired_reason IS NULL)", name="retired_with_a_reason")


class Participant(Base):
    """A service that has announced that it takes part in erasures or exports.

    Only an operator retires one that is gone, with a reason; it takes part again when it announces itself.
    """

    __tablename__ = "participants"
    __table_args__ = (
        _retirement(),
        {
            "info": on_erase(
                "retain: names of services", pruned_by="kept: one row per service", about=_NAMES_OF_SERVICES
            )
        },
    )

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    handles: Mapped[list[str]] = mapped_column(ARRAY(String(20)))
    version: Mapped[str] = mapped_column(String(32))
    joined_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    retired_reason: Mapped[str | None] = mapped_column(String(200))


class Erasure(Base):
    """A person's request to be erased, with the time of each step that it has taken.

    `erasing_at` is when every participant was asked, `verifying_at` when the first of them had looked again
    and found nothing, `overdue_at` when the deadline had passed, `completed_at` when the last one had found
    nothing: then `user_id` is emptied. `partial_at` is when for the first time nothing was left but what is
    held by law, `held_since` since when that is so now, and `resumed_at` when a hold ended that it had waited
    for. `holds` is what participants are told that they must keep; its version rises with every change of it.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("(completed_at IS NULL) = (user_id IS NOT NULL)", name="person_until_completed"),
        # A trigger of the migrations sees to it that no time that is set is ever changed.
        CheckConstraint(
            "erasing_at >= requested_at AND verifying_at >= erasing_at AND completed_at >= verifying_at",
            name="steps_in_order",
        ),
        Index("ix_erasures_open", "id", postgresql_where=_OPEN),
        Index("ix_erasures_silent", "times_asked", "asked_at", postgresql_where=_OPEN),
        Index(
            "ix_erasures_overdue",
            "deadline",
            postgresql_where=text("completed_at IS NULL AND overdue_at IS NULL"),
        ),
        {
            "info": on_erase(
                "null: the person's id is emptied on completion; counts and times stay as proof",
                pruned_by="kept: counts and times, the proof of the erasure",
                about=_PROOF,
            )
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(info=of_class(DataClass.ACCOUNT))
    status_token_hash: Mapped[str] = mapped_column(
        String(64), info=of_class(DataClass.CREDENTIAL, in_export=False)
    )
    requested_at: Mapped[datetime]
    deadline: Mapped[datetime]
    grace_until: Mapped[datetime | None]
    asked_at: Mapped[datetime]
    times_asked: Mapped[int]
    erasing_at: Mapped[datetime | None]
    verifying_at: Mapped[datetime | None]
    overdue_at: Mapped[datetime | None]
    partial_at: Mapped[datetime | None]
    held_since: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    holds: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    holds_version: Mapped[int] = mapped_column(server_default=text("0"))
    completed_at: Mapped[datetime | None]


class DeletionRequest(Base):
    """A request to be erased that can be canceled until `grace_until`: the account is frozen.

    `told_at` is when those who destroy biometrics at once were told last.
    """

    __tablename__ = "deletion_requests"
    __table_args__ = ({"info": on_erase("delete", pruned_by="end-graces")},)

    erasure_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id", ondelete="CASCADE"), unique=True)
    status_token_hash: Mapped[str] = mapped_column(
        String(64), info=of_class(DataClass.CREDENTIAL, in_export=False)
    )
    requested_at: Mapped[datetime]
    deadline: Mapped[datetime]
    grace_until: Mapped[datetime] = mapped_column(index=True)
    told_at: Mapped[datetime] = mapped_column(index=True)


class ErasureParticipant(Base):
    """What one participant has said about one erasure, or since when and why it is not waited for.

    `held` counts what holds keep there, and `held_at` is when nothing else was left.
    """

    __tablename__ = "erasure_participants"
    __table_args__ = (
        _retirement(),
        CheckConstraint("held_at IS NULL OR completed_at IS NULL", name="held_until_completed"),
        {
            "info": on_erase(
                "retain: counts and times, the proof of the erasure",
                pruned_by="kept: counts and times, the proof of the erasure",
                about=_PROOF,
            )
        },
    )

    erasure_id: Mapped[UUID] = mapped_column(ForeignKey("identity.erasures.id"), primary_key=True)
    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    completed_at: Mapped[datetime | None]
    erased: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    digest: Mapped[str | None] = mapped_column(String(64))
    regimes: Mapped[list[str] | None] = mapped_column(JSONB)
    key_providers: Mapped[list[str] | None] = mapped_column(JSONB)
    held: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    held_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    retired_reason: Mapped[str | None] = mapped_column(String(200))
