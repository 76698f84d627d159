"""What waits for the object store."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, String, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import Moment, on_erase
from consent.models.ledger import Base


class LogUpload(Base):
    """A checkpoint that is not in the object store yet; a trigger of `log_checkpoints` writes it."""

    __tablename__ = "log_uploads"
    __table_args__ = (
        CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease_is_whole"),
        {
            "info": on_erase(
                "retain: the size of a tree",
                pruned_by="empties itself",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.PROOF_OF_CONSENT,
                    retention="until the checkpoint is stored",
                ),
            )
        },
    )

    tree_size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(Moment, server_default=func.clock_timestamp())
    lease_token: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    last_error: Mapped[str | None] = mapped_column(String(200))
