"""Rules of erasures, without database or network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from chassis.problems import Problem

REMINDER_MULTIPLES = (1, 5, 30, 120)
ALARM_AFTER = timedelta(hours=1)
"""Participants take seconds: one that is open for longer waits for something that does not work."""
GOAL = timedelta(hours=24)
"""Within which an erasure is meant to be complete, whatever later deadline was promised."""


class Step(StrEnum):
    """What an erasure goes through, in this order; a late one may still be verified and completed."""

    REQUESTED = "requested"
    GRACE = "grace"
    ERASING = "erasing"
    VERIFYING = "verifying"
    OVERDUE = "overdue"
    PARTIAL = "partial"
    COMPLETED = "completed"


class StepTaken(NamedTuple):
    """A step and its time."""

    step: Step
    at: datetime


def steps_in_order(taken: Iterable[tuple[Step, datetime | None]]) -> list[StepTaken]:
    """Return the steps that have a time, in the order in which they were taken."""
    steps, ranks = [StepTaken(step, at) for step, at in taken if at is not None], list(Step)
    return sorted(steps, key=lambda it: (it.at, ranks.index(it.step)))


class Report(NamedTuple):
    """What a participant has erased, when it had looked again, the digest of its counts, and which laws held.

    `key_providers` are those of its data keys. An earlier release kept neither the laws nor these. `held`
    counts what holds keep there.
    """

    service: str
    completed_at: datetime
    erased: dict[str, int]
    digest: str
    regimes: list[str] | None
    key_providers: list[str] | None = None
    held: dict[str, int] | None = None


class HoldTerms(NamedTuple):
    """A hold as certificates, status pages and operators show it; nothing in it leads to the person."""

    hold_id: UUID
    service: str
    kind: str
    code: str
    legal_reference: str
    approver: str
    placed_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class Outcome(StrEnum):
    """What a certificate certifies: all of it, all that could be asked for, or all but what is held."""

    COMPLETED = "completed"
    COMPLETED_WITHOUT_RETIRED = "completed_without_retired"
    PARTIAL = "partial"


def outcome_of(*, complete: bool, retired: bool) -> Outcome:
    """Return what certificate, status and announcement call an erasure that is complete, or but for holds."""
    if not complete:
        return Outcome.PARTIAL
    return Outcome.COMPLETED_WITHOUT_RETIRED if retired else Outcome.COMPLETED


@dataclass(frozen=True)
class BackupTerms:
    """How long backups are kept: of databases and objects, and of the keyring."""

    data: timedelta
    keyring: timedelta


class Retirement(NamedTuple):
    """A participant that is not waited for any more, since when, and why an operator said so."""

    service: str
    retired_at: datetime
    reason: str


class ConfirmationMissing(Problem, status=400, title="Deletion needs a confirmation"):
    """The deletion was not confirmed."""

    detail = 'Send {"confirm": true} to delete the account and everything in it. This can\'t be undone.'


class NotCertifiedYet(Problem, status=409, title="There is no certificate yet"):
    """A certificate is signed only when every participant has looked again and found nothing."""

    detail = "Not every service has found that nothing is left. Ask again when the erasure is complete."

    def __init__(self, missing: Sequence[str]) -> None:
        """Take who has not reported; of an erasure that an earlier release completed that is nobody."""
        before = None if missing else "This erasure was completed before certificates were signed."
        super().__init__(before, extra={"missing_participants": list(missing)})


def reminder_pause(times_asked: int, base: timedelta) -> timedelta:
    """Return how long to wait before a silent participant is asked again; the last step repeats."""
    return base * REMINDER_MULTIPLES[min(times_asked, len(REMINDER_MULTIPLES)) - 1]
