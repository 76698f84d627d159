"""What the API says of exports."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from storage.exports.policy import ExportStatus, SectionStatus


class ExportReceipt(BaseModel):
    """An export was asked for, or one is under way already."""

    message: str = Field(examples=["Your copy is being put together."])
    status: ExportStatus
    export_id: UUID


class ContributorProgress(BaseModel):
    """How far one service is; the archive waits for every one of them."""

    service: str = Field(examples=["identity"])
    status: SectionStatus
    records: int | None = Field(description="How many records it has written.", examples=[7])


class ExportProgress(BaseModel):
    """How far the archive is; a service that is missing delays it, and is named here."""

    contributors: list[ContributorProgress]
    photos: int = Field(description="Photos that are in the archive so far.", examples=[2])
    bytes: int = Field(description="Bytes of the archive so far.", examples=[5_242_880])


class ExportRead(BaseModel):
    """The person's last export."""

    message: str = Field(examples=["Your copy is ready. The link works once."])
    status: ExportStatus
    export_id: UUID
    export_url: str | None = Field(
        description="Gives the ZIP archive, once and only while this session lasts; null until it is ready."
    )
    progress: ExportProgress
    requested_at: datetime
    expires_at: datetime | None = Field(description="When a copy that is ready goes.")


class SectionTicket(BaseModel):
    """Where a contributor puts its section, for some minutes."""

    path: str
    expires_at: datetime
