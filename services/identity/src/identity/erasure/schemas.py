"""What the routes of erasures take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from chassis.inventory import Inventory
from chassis.requests import RequestBody
from contracts.fields import KeyProvider
from identity.erasure.policy import Outcome, Step
from identity.schemas import MessageResponse


class DeletionRequest(RequestBody):
    """The confirmation of a deletion."""

    # Nothing but the literal: a deletion can't be undone, so nobody's "yes" or 1 is taken for it.
    confirm: bool = False


class DeletionResponse(MessageResponse):
    """The receipt of a deletion; the token is the only way to its status once the account is gone."""

    deleted_at: datetime
    erasure_id: UUID
    status_url: str = Field(
        examples=["https://irisvue.example/api/v1/privacy/erasures/01a218a0-8356-74f5-b207-f1053475fe76"]
    )
    status_token: str = Field(examples=["the-token-of-the-erasure"])
    grace_until: datetime | None = Field(
        description="Until when the link that was mailed cancels the deletion; null: it can't be canceled.",
        examples=[None],
    )


class HoldRead(BaseModel):
    """What must not be erased yet: which law says so, who answers for it, and until when."""

    model_config = ConfigDict(from_attributes=True)

    hold_id: UUID
    service: str = Field(examples=["storage"])
    kind: str = Field(examples=["photos"])
    code: str = Field(examples=["eu-gdpr:A17-3-e"])
    legal_reference: str = Field(examples=["Article 17(3)(e) GDPR: file 4 O 12/26"])
    approver: str = Field(examples=["data protection officer"])
    placed_at: datetime
    expires_at: datetime
    ended_at: datetime | None = Field(examples=[None])


CODE_OF_HOLD = "[A-Za-z0-9][A-Za-z0-9:._/-]{0,63}"


def _in_a_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("This must be one line.")
    return text


class _Said(RequestBody):
    """Words of an officer: one line, and not none."""

    model_config = ConfigDict(str_strip_whitespace=True)


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_in_a_line)]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_in_a_line)]


class HoldRequest(_Said):
    """What must not be erased yet: the ground, who answers for it, and the end are required."""

    subject: UUID = Field(description="The account, or its erasure while it is open.")
    service: str = Field(pattern="^[a-z_]{1,32}$", examples=["storage"])
    kind: str = Field(pattern="^[a-z_]{1,40}$", examples=["photos"])
    record: UUID | None = Field(default=None, description="One record of the kind; all of them without it.")
    code: str = Field(pattern=f"^{CODE_OF_HOLD}$", examples=["eu-gdpr:A17-3-e"])
    legal_reference: Words = Field(examples=["Article 17(3)(e) GDPR: file 4 O 12/26"])
    approver: Name = Field(examples=["data protection officer"])
    expires_at: AwareDatetime


class HoldRelease(_Said):
    """Who ends a hold before its time, and why."""

    released_by: Name = Field(examples=["data protection officer"])
    reason: Words = Field(examples=["the case is closed"])


class OfficersHold(HoldRead):
    """A hold as officers see it: with whom and what it is about, until the person is erased."""

    hold_id: UUID = Field(validation_alias="id")
    user_id: UUID | None
    erasure_id: UUID | None = Field(description="The erasure that it keeps from being complete.")
    record: UUID | None
    released_by: str | None = Field(examples=[None])
    release_reason: str | None = Field(examples=[None])
    placing_officer: str | None = Field(
        description="A keyed hash of the account that placed it; null: an operator's command.",
        examples=[None],
    )
    releasing_officer: str | None = Field(description="The same of who released it.", examples=[None])


class HoldList(BaseModel):
    """The holds in force, what ends first coming first; `more` tells that not all are shown."""

    holds: list[OfficersHold]
    more: bool


class ErasureParticipantRead(BaseModel):
    """One participant's part in an erasure."""

    service: str = Field(examples=["storage"])
    status: Literal["waiting", "partial", "completed", "retired"]
    completed_at: datetime | None = Field(examples=[None])
    erased: dict[str, int] = Field(examples=[{}])
    held: dict[str, int] = Field(examples=[{}], description="How many of each kind holds keep there.")
    nothing_held: bool = Field(description="Whether it has reported, and had held nothing.")
    retired_at: datetime | None = Field(
        examples=[None], description="Since when it is gone and not waited for."
    )
    retired_reason: str | None = Field(examples=[None], description="Why, in an operator's words.")


class ErasureStepRead(BaseModel):
    """A step that an erasure has taken, and when."""

    step: Step
    at: datetime


class ErasureRead(BaseModel):
    """How far an erasure is.

    It is partial while nothing is left but what holds keep, and goes on by itself when they end.
    """

    status: Literal["in_progress", "partial", "completed", "overdue"]
    outcome: Outcome | None = Field(
        description="What its certificate calls it, in the same word; null until there is one. "
        "`completed_without_retired`: a service that is named is gone, and nobody can be asked there.",
        examples=[None],
    )
    requested_at: datetime
    deadline: datetime
    completed_at: datetime | None = Field(examples=[None])
    participants: list[ErasureParticipantRead]
    holds: list[HoldRead] = Field(description="What could, or can, not be erased at once, and why.")
    steps: list[ErasureStepRead]
    grace_until: datetime | None = Field(
        description="Until when the deletion could, or can, be canceled; null where there is no grace.",
        examples=[None],
    )


class BackupsRead(BaseModel):
    """For how many days after an erasure backups can still have copies of what it took."""

    days: int = Field(description="Of rows, and of pictures that are sealed.")
    keyring_days: int = Field(description="Of the keys that they are sealed with.")


class KeyTermsRead(BaseModel):
    """What an erasure does to data keys where they are wrapped, and who can open what until when."""

    model_config = ConfigDict(from_attributes=True)

    provider: KeyProvider = Field(examples=["file"])
    erasure: str
    readable: str


class ErasurePreview(BaseModel):
    """What an erasure would take and leave, as each participant has just counted it."""

    counted_at: datetime
    participants: list[Inventory]
    holds: list[HoldRead] = Field(description="What would not be erased at once, and why.")
    processors: list[str] = Field(
        description="Who else is asked to erase, outside of the platform.", examples=[["mailhouse"]]
    )
    backups: BackupsRead
    keys: list[KeyTermsRead] = Field(
        description="What the deletion of data keys means, in the words of the certificate; the first wraps."
    )


class StatedHold(BaseModel):
    """What the asking participant must not erase yet."""

    model_config = ConfigDict(from_attributes=True)

    hold_id: UUID
    kind: str
    record: UUID | None
    expires_at: datetime


class StandingHold(StatedHold):
    """The same, and of whom."""

    hold_id: UUID = Field(validation_alias="id")
    user_id: UUID


class StandingHolds(BaseModel):
    """All that the asking participant must not erase yet."""

    items: list[StandingHold]


class OpenErasureRead(BaseModel):
    """An erasure that the asking participant has not reported, and what it must not erase yet."""

    erasure_id: UUID = Field(validation_alias="id")
    user_id: UUID
    requested_at: datetime
    deadline: datetime
    holds: list[StatedHold] = []
    holds_version: int = 0


class OpenErasurePage(BaseModel):
    """A page of open erasures; `next` continues it and is empty on the last page."""

    items: list[OpenErasureRead]
    next: str
