"""The rules and refusals of data exports, without database or network."""

from datetime import datetime
from enum import StrEnum

from chassis.problems import NotFound, Problem


class ExportStatus(StrEnum):
    """How far an export is, in the words of the public API."""

    PENDING = "pending"
    READY = "ready"
    EXPIRED = "expired"
    FAILED = "failed"


class EndReason(StrEnum):
    """Why an export is over."""

    DOWNLOADED = "downloaded"
    EXPIRED = "expired"
    REPLACED = "replaced"
    INCOMPLETE = "incomplete"


class SectionStatus(StrEnum):
    """How far the section of one service is."""

    MISSING = "missing"
    RECEIVED = "received"
    COMPLETE = "complete"


class NoExport(NotFound):
    """The person has not asked for an export, or the last one is long over."""

    detail = "You have not asked for a copy of your data. Ask for one first."


class TooManyExports(Problem, status=429, title="Too many exports"):
    """The person has asked for as many exports as anybody may in a day."""

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"You have asked for {limit} copies of your data within a day. Try again later.",
            headers={"Retry-After": str(retry_after)},
            extra={"limit": limit},
        )


class ArchiveGone(Problem, status=410, title="This copy of your data is gone"):
    """The archive was downloaded, has expired, or is made anew."""

    detail = "This link has been used or is over. Ask for a new copy of your data."


class ExportOver(Problem, status=410, title="The export is over"):
    """No section is taken for this export any more, or it has this one."""

    detail = "The export waits for no such section."


class SectionTooLarge(Problem, status=413, title="The section is too large"):
    """A contributor has written more than a section may have."""

    detail = "The section is larger than is accepted."


class SectionInterrupted(Problem, status=400, title="The section did not arrive whole"):
    """The bytes stopped before the end, or came too slowly."""

    detail = "The section was cut off or was too slow. Send it again."


MESSAGES = {
    ExportStatus.PENDING: "Your copy is being put together.",
    ExportStatus.READY: "Your copy is ready. The link works once.",
    EndReason.DOWNLOADED: "Your copy was downloaded. Ask for a new one if you need it again.",
    EndReason.EXPIRED: "Your copy was not fetched in time and is gone. Ask for a new one.",
    EndReason.REPLACED: "A newer copy has taken the place of this one.",
    EndReason.INCOMPLETE: "Not everything could be put together in time. Ask again; we know of it.",
}


def message_of(status: str, end_reason: str | None) -> str:
    """Return the sentence for the person."""
    return MESSAGES[EndReason(end_reason) if end_reason else ExportStatus(status)]


def section_status(received_at: datetime | None, reported_at: datetime | None) -> SectionStatus:
    """Name how far a section is: it counts when it is here and its author has said so."""
    if received_at is None:
        return SectionStatus.MISSING
    return SectionStatus.RECEIVED if reported_at is None else SectionStatus.COMPLETE
