from datetime import UTC, datetime, timedelta

import pytest

from identity.erasure.policy import reminder_pause
from identity.policy import Refresh, judge_refresh, session_expired

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("presented", "age", "verdict"),
    [
        (7, timedelta(days=20), Refresh.ROTATE),
        (6, timedelta(seconds=1), Refresh.REPEAT),
        (6, timedelta(hours=23), Refresh.REPEAT),
        (6, timedelta(hours=25), Refresh.REUSED),
        (5, timedelta(seconds=1), Refresh.REUSED),
        (8, timedelta(seconds=1), Refresh.REUSED),
    ],
)
def test_only_the_current_and_the_just_replaced_token_are_honoured(presented, age, verdict):
    judged = judge_refresh(
        presented=presented,
        current=7,
        rotated_at=NOW - age,
        current_seen=False,
        now=NOW,
        repeat_for=timedelta(hours=24),
    )
    assert judged is verdict


@pytest.mark.parametrize(
    ("age", "verdict"), [(timedelta(seconds=10), Refresh.REPEAT), (timedelta(seconds=11), Refresh.REUSED)]
)
@pytest.mark.parametrize(("seen", "hours"), [(False, 0), (True, 0), (True, 24)])
def test_requests_that_were_under_way_together_agree_whatever_was_used(age, verdict, seen, hours):
    judged = judge_refresh(
        presented=6,
        current=7,
        rotated_at=NOW - age,
        current_seen=seen,
        now=NOW,
        repeat_for=timedelta(hours=hours),
    )
    assert judged is verdict


@pytest.mark.parametrize(
    ("created", "used", "expired"),
    [(89, 1, False), (91, 1, True), (40, 29, False), (40, 31, True)],
)
def test_a_session_ends_by_age_or_by_idleness(created, used, expired):
    assert (
        session_expired(
            created_at=NOW - timedelta(days=created),
            last_used_at=NOW - timedelta(days=used),
            now=NOW,
            idle=timedelta(days=30),
            absolute=timedelta(days=90),
        )
        is expired
    )


def test_reminders_grow_apart_and_then_stay():
    base = timedelta(minutes=1)
    assert [reminder_pause(times, base) // base for times in (1, 2, 3, 4, 5, 50)] == [1, 5, 30, 120, 120, 120]
