"""Rules of erasures, without database or network."""

from datetime import timedelta

from chassis.problems import Problem

REMINDER_MULTIPLES = (1, 5, 30, 120)


class ConfirmationMissing(Problem, status=400, title="Deletion needs a confirmation"):
    """The deletion was not confirmed."""

    detail = 'Send {"confirm": true} to delete the account and everything in it. This can\'t be undone.'


def reminder_pause(times_asked: int, base: timedelta) -> timedelta:
    """Return how long to wait before a silent participant is asked again; the last step repeats."""
    return base * REMINDER_MULTIPLES[min(times_asked, len(REMINDER_MULTIPLES)) - 1]
