"""The columns of a work table, for those tables that are classes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import not_exported
from chassis.tables import Moment


class LeasedRow:
    """What `chassis.work_table` needs of a row; the constraint is `chassis.tables.lease_check`."""

    attempts: Mapped[int] = mapped_column(server_default=text("0"), info=not_exported())
    next_attempt_at: Mapped[datetime] = mapped_column(
        Moment, server_default=func.clock_timestamp(), info=not_exported()
    )
    lease_token: Mapped[UUID | None] = mapped_column(Uuid, info=not_exported())
    lease_until: Mapped[datetime | None] = mapped_column(Moment, info=not_exported())
    last_error: Mapped[str | None] = mapped_column(String(200), info=not_exported())
