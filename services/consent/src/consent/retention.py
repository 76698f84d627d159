"""How long things are kept, and by when something is owed: rows that pages and timers are made from."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Start(StrEnum):
    """From when the days of a row are counted."""

    LAST_INTERACTION = "last_interaction"
    PURPOSE_END = "purpose_end"


class RetentionItem(_Data):
    """How long one category of data is kept, and how it ends; `days` is None while the account lives."""

    category: str
    what: str
    days: int | None
    starts: Start | None
    ends_earlier_on: tuple[str, ...]
    destruction: str
    basis: str


class Deadline(_Data):
    """By when something is owed: to the person who asks, to a regulator, or to ourselves."""

    item: str
    within: int = Field(gt=0)
    unit: Literal["days", "business_days", "months"]
    starts: str
    basis: str
    extendable_by: int | None = Field(default=None, gt=0)
