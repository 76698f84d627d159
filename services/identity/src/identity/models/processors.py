"""Requests to processors outside of the platform."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import lease_check, of_class, on_erase
from identity.models.base import Base


class ProcessorRequest(Base):
    """A request to erase that a processor has to answer with a report; `user_id` is emptied then."""

    __tablename__ = "processor_requests"
    __table_args__ = (
        CheckConstraint("(settled_at IS NULL) = (user_id IS NOT NULL)", name="person_until_settled"),
        Index("ix_processor_requests_open", "next_attempt_at", postgresql_where=text("settled_at IS NULL")),
        lease_check(),
        {
            "info": on_erase(
                "null: the person's id is emptied when the processor has reported",
                pruned_by="kept: who was asked, the proof of the erasure",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.ERASURE,
                    retention="the person's id until the processor has reported, the rest for ever",
                ),
            )
        },
    )

    erasure_id: Mapped[UUID] = mapped_column(ForeignKey("identity.erasures.id"), primary_key=True)
    processor: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(info=of_class(DataClass.ACCOUNT))
    requested_at: Mapped[datetime]
    deadline: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(200))
