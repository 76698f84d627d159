"""Who took evidence of which erasure, and when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import on_erase
from identity.models.base import Base


class EvidenceBundle(Base):
    """A bundle that an operator had written; `digest` is the SHA-256 of the file, in hex."""

    __tablename__ = "evidence_bundles"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: which operator took evidence of which erasure; nothing leads to the person",
                pruned_by="kept: the log of what left the platform as evidence",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.ERASURE,
                    retention="for ever: who took evidence, in an operator's words",
                ),
            )
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    erasure_id: Mapped[UUID] = mapped_column(ForeignKey("identity.erasures.id"), index=True)
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64))
