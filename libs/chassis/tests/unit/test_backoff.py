"""The pause after a failure: it grows, it has an end, and no number of failures breaks it."""

from hypothesis import example, given
from hypothesis import strategies as st

from chassis.work_table import backoff

SECONDS = st.floats(0.001, 3600.0)


@given(st.integers(0, 10**6), SECONDS, SECONDS)
@example(1024, 1.0, 60.0)
@example(1100, 0.5, 60.0)
@example(10**6, 3600.0, 3600.0)
def test_pause_is_never_longer_than_the_longest_and_never_shorter_than_half_of_the_shortest(
    failures: int, one: float, another: float
) -> None:
    shortest, longest = sorted((one, another))
    assert shortest / 2 <= backoff(failures, shortest=shortest, longest=longest) <= longest


@given(st.integers(1, 6))
def test_pause_doubles_with_each_failure(failures: int) -> None:
    doubled = 2.0 ** (failures - 1)
    assert doubled / 2 <= backoff(failures, shortest=1.0, longest=1000.0) <= doubled


def test_rows_that_failed_together_do_not_come_back_together() -> None:
    assert len({backoff(20, shortest=1.0, longest=60.0) for _ in range(50)}) > 40
