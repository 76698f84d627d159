"""Rules of erasures, without database or network."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from chassis.problems import Problem

REMINDER_MULTIPLES = (1, 5, 30, 120)
ALARM_AFTER = timedelta(hours=1)
"""Participants take seconds: one that is open for longer waits for something that does not work."""
GOAL = timedelta(hours=24)
"""Within which an erasure is meant to be complete, whatever later deadline was promised."""


class Step(StrEnum):
    """What an erasure goes through, in this order; a late one may still be verified and completed."""

    REQUESTED = "requested"
    ERASING = "erasing"
    VERIFYING = "verifying"
    OVERDUE = "overdue"
    COMPLETED = "completed"


class StepTaken(NamedTuple):
    """A step and its time."""

    step: Step
    at: datetime


def steps_in_order(taken: Iterable[tuple[Step, datetime | None]]) -> list[StepTaken]:
    """Return the steps that have a time, in the order in which they were taken."""
    steps, ranks = [StepTaken(step, at) for step, at in taken if at is not None], list(Step)
    return sorted(steps, key=lambda it: (it.at, ranks.index(it.step)))


class ConfirmationMissing(Problem, status=400, title="Deletion needs a confirmation"):
    """The deletion was not confirmed."""

    detail = 'Send {"confirm": true} to delete the account and everything in it. This can\'t be undone.'


def reminder_pause(times_asked: int, base: timedelta) -> timedelta:
    """Return how long to wait before a silent participant is asked again; the last step repeats."""
    return base * REMINDER_MULTIPLES[min(times_asked, len(REMINDER_MULTIPLES)) - 1]
