"""The bodies of requests and answers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from chassis.requests import RequestBody


class EntryRequest(RequestBody):
    """What a person writes down."""

    words: str = Field(max_length=4000, pattern=r"^[^\x00]+$", examples=["The left eye is greener."])


class EntryRead(BaseModel):
    """An entry, as its author sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    words: str = Field(examples=["The left eye is greener."])
    created_at: datetime


class EntryList(BaseModel):
    """All entries of a person, the newest first."""

    entries: list[EntryRead]
