"""Exports: what was asked for, who has written a section, and what the archive is made of so far."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import lease_check, not_exported, on_erase
from chassis.work_rows import LeasedRow
from storage.models.photos import Base

_WORKING = {
    "info": on_erase(
        "empties itself: with its export, which an erasure deletes",
        pruned_by="expire-exports",
        about=About(
            data_class=DataClass.CONTENT,
            purpose=Purpose.SERVICE,
            retention="until the archive is fetched, 72 hours after it is ready at most",
        ),
    )
}


class Export(LeasedRow, Base):
    """A person's request for a copy of their data: the row of a work table while it is pending.

    `version` is raised when the archive has to be made anew, because a photo that is in it is gone; `bytes`
    and `parts` are how far it is sealed. `download_until` is how long a download may still be under way, and
    the last one ends the export. A row stays for a while after its end, so that its status can be told.
    """

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'ready', 'expired', 'failed')", name="status_is_known"),
        CheckConstraint("(status = 'ready') <= (expires_at IS NOT NULL)", name="ready_until"),
        CheckConstraint(
            "(status IN ('expired', 'failed')) = (ended_at IS NOT NULL)", name="ended_at_its_end"
        ),
        lease_check(),
        Index("ix_exports_user_id", "user_id", "requested_at"),
        Index("uq_exports_open", "user_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_exports_pending", "next_attempt_at", postgresql_where=text("status = 'pending'")),
        Index("ix_exports_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        {"info": on_erase("delete", pruned_by="expire-exports")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(String(10))
    end_reason: Mapped[str | None] = mapped_column(String(20))
    folder: Mapped[str] = mapped_column(String(200), info=not_exported())
    version: Mapped[int] = mapped_column(server_default=text("1"), info=not_exported())
    parts: Mapped[int] = mapped_column(server_default=text("0"), info=not_exported())
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    photos: Mapped[int] = mapped_column(server_default=text("0"))
    requested_at: Mapped[datetime]
    asked_at: Mapped[datetime] = mapped_column(info=not_exported())
    ready_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    download_until: Mapped[datetime | None] = mapped_column(info=not_exported())
    downloaded_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ExportSection(Base):
    """What one contributor has written: sealed parts in a folder of their own, and the counts it announced.

    It is there when it has arrived whole (`received_at`) and its author has said so (`reported_at`).
    """

    __tablename__ = "export_sections"
    __table_args__ = (
        CheckConstraint("num_nulls(received_at, attempt, parts, bytes) IN (0, 4)", name="received_is_whole"),
        CheckConstraint("(reported_at IS NULL) = (records IS NULL)", name="reported_with_counts"),
        _WORKING,
    )

    export_id: Mapped[UUID] = mapped_column(
        ForeignKey("storage.exports.id", ondelete="CASCADE"), primary_key=True
    )
    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    attempt: Mapped[UUID | None]
    parts: Mapped[int | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    received_at: Mapped[datetime | None]
    records: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    reported_at: Mapped[datetime | None]


class ExportPart(Base):
    """A sealed piece of the archive; `object_id` names it in the bucket: no two writers meet there."""

    __tablename__ = "export_parts"
    __table_args__ = (_WORKING,)

    export_id: Mapped[UUID] = mapped_column(
        ForeignKey("storage.exports.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    object_id: Mapped[UUID]
    bytes: Mapped[int]


class ExportFile(Base):
    """A file that is whole in the archive: what its directory and its manifest say of it."""

    __tablename__ = "export_files"
    __table_args__ = (_WORKING,)

    export_id: Mapped[UUID] = mapped_column(
        ForeignKey("storage.exports.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    photo_id: Mapped[UUID | None]
    offset: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    packed_bytes: Mapped[int] = mapped_column(BigInteger)
    crc: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))


class ExportContributor(Base):
    """A service that has announced that it writes a section of every export."""

    __tablename__ = "export_contributors"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: names of services",
                pruned_by="kept: one row per service",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.SERVICE,
                    retention="while the service takes part",
                ),
            )
        },
    )

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    joined_at: Mapped[datetime]
