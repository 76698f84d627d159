"""What is kept of a person beside their consents: their preferences, and when they were last here."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from chassis.tables import Moment, on_erase
from consent.models.ledger import Base


class Preferences(Base):
    """What a person has chosen; who never chose anything has no row.

    A time says since when a choice holds, null that it does not. Each change raises `epoch`, and is written
    only over the epoch that its author has read.
    """

    __tablename__ = "preferences"
    __table_args__ = (
        CheckConstraint("epoch > 0", name="epoch_is_positive"),
        CheckConstraint("opted_out_at IS NULL OR source IS NOT NULL", name="opted_out_by_somebody"),
        CheckConstraint("gpc_honored_at IS NULL OR opted_out_at IS NOT NULL", name="signal_opts_out"),
        {"info": on_erase("delete", pruned_by="erasure")},
    )

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    opted_out_at: Mapped[datetime | None] = mapped_column(Moment)
    gpc_honored_at: Mapped[datetime | None] = mapped_column(Moment)
    limited_at: Mapped[datetime | None] = mapped_column(Moment)
    source: Mapped[str | None] = mapped_column(String(16))
    reprompt_not_before: Mapped[datetime | None] = mapped_column(Moment)


class Activity(Base):
    """The last day, in UTC, on which somebody who ever agreed to anything was here; no more than that day.

    From it the days of the retention schedule are counted.
    """

    __tablename__ = "activities"
    __table_args__ = ({"info": on_erase("delete", pruned_by="erasure")},)

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    active_on: Mapped[date] = mapped_column(Date)
