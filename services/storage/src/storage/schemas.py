"""What storage's API takes and gives."""

from datetime import datetime
from enum import StrEnum
from typing import Final, Self
from uuid import UUID

from pydantic import BaseModel, Field

from chassis.requests import RequestBody
from storage.policy import ReadReason, Rendition, UploadStatus

_OTHER_NAMES: Final = {"image/jpg": "image/jpeg", "image/heif": "image/heic"}


class AcceptedType(StrEnum):
    """The image types that can be uploaded; image/jpg and image/heif are read as two of them."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    HEIC = "image/heic"
    WEBP = "image/webp"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        # Media types have no case (RFC 9110 §8.3.1), and phones write two of these four in another way.
        name = str(value).partition(";")[0].strip().lower()
        known = {kind.value: kind for kind in cls}
        return known.get(_OTHER_NAMES.get(name, name))


class Listed(StrEnum):
    """What a list of photos can include beside those whose bytes have arrived."""

    PENDING = "pending"


class UploadRequest(RequestBody):
    """What is going to be uploaded."""

    content_type: AcceptedType | None = Field(default=None, description="Default image/jpeg.")


class UploadTicket(BaseModel):
    """Where to PUT the bytes: one picture, with the declared Content-Type, before the link expires."""

    upload_url: str = Field(
        examples=[
            "https://irisvue.example/api/v1/photos/01a218a0-8356-74f5-b207-f1053475fe76/content?token=abc"
        ]
    )
    photo_id: UUID
    s3_key: str = Field(examples=["photos/01a218a0-8356-74f5-b207-f1053475fe76"])
    expires_at: datetime


class UploadReceipt(BaseModel):
    """What arrived: the number of bytes received, and what was measured."""

    photo_id: UUID
    file_size: int = Field(examples=[2_418_904])
    content_type: str = Field(examples=["image/jpeg"])
    width: int = Field(examples=[4032])
    height: int = Field(examples=[3024])


class Confirmation(RequestBody):
    """What the client believes it sent; only the number of bytes is compared, the rest is measured."""

    file_size: int = Field(ge=0, description="Bytes sent.", examples=[2_418_904])
    width: int | None = Field(default=None, examples=[4032])
    height: int | None = Field(default=None, examples=[3024])


class PhotoRead(BaseModel):
    """A photo, as its owner sees it; its links live for minutes and stay the same until half their life."""

    id: UUID
    user_id: UUID
    s3_key: str = Field(examples=["photos/01a218a0-8356-74f5-b207-f1053475fe76"])
    thumbnail_url: str | None = Field(description="A JPEG of at most 512 pixels; null until confirmed.")
    original_url: str | None = Field(description="The photo without metadata; null until confirmed.")
    width: int | None = Field(description="In pixels, of the photo as it is shown.", examples=[4032])
    height: int | None = Field(description="In pixels, of the photo as it is shown.", examples=[3024])
    file_size: int | None = Field(
        description="The number of bytes received, before metadata was removed.", examples=[2_418_904]
    )
    content_type: str = Field(
        description="Of what is kept: a HEIC photo is kept as image/jpeg.", examples=["image/jpeg"]
    )
    upload_status: UploadStatus
    created_at: datetime
    updated_at: datetime


class PhotoPage(BaseModel):
    """One page of photos, newest first."""

    items: list[PhotoRead]
    total: int
    page: int
    page_size: int
    next: str | None = Field(
        description="Give it as `after` for the next page; null on the last one.",
        examples=["1795705800000000-01a218a0835674f5b207f1053475fe76"],
    )


class Used(BaseModel):
    """One limit of the account, and what is used of it."""

    used: int = Field(examples=[12])
    limit: int = Field(examples=[5000])


class UsedToday(Used):
    """A limit of one day, which begins anew at `resets_at`."""

    resets_at: datetime


class PhotoUsage(BaseModel):
    """What the account uses of its limits: photos that have arrived, uploads begun today (UTC)."""

    photos: Used
    bytes: Used = Field(description="Of the photos as they were received.")
    uploads_per_day: UsedToday


class ReadEntry(BaseModel):
    """One time that the bytes of a photo were given to somebody."""

    id: UUID
    read_at: datetime
    read_by: UUID = Field(description="The account.")
    session_id: UUID | None = Field(description="The session whose link it was; null where none read it.")
    rendition: Rendition
    reason: ReadReason


class ReadEntryPage(BaseModel):
    """Reads of one photo, newest first."""

    items: list[ReadEntry]
    next: str | None = Field(
        description="Give it as `after` for the next page; null on the last one.",
        examples=["1795705800000000-01a218a0835674f5b207f1053475fe76"],
    )
