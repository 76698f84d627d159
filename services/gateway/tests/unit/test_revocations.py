from datetime import datetime, timedelta
from email.utils import format_datetime
from uuid import UUID, uuid4

from chassis.auth import Principal
from chassis.ids import new_id
from gateway.admission_control import moment_of_answer
from gateway.revocations import DenyList
from support import FrozenClock

KEEP = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def principal(issued_at: datetime, user_id: UUID | None = None, session_id: UUID | None = None) -> Principal:
    return Principal(
        user_id=user_id or uuid4(),
        session_id=session_id or uuid4(),
        token_id="t",
        issued_at=issued_at,
        authenticated_at=issued_at,
        expires_at=issued_at + timedelta(minutes=30),
    )


def test_ended_session_is_denied_whenever_its_token_was_issued(clock: FrozenClock) -> None:
    denylist, session = DenyList(keep=KEEP), uuid4()
    denylist.deny_session(session)
    assert denylist.denies(principal(clock.now() - SECOND, session_id=session))
    assert denylist.denies(principal(clock.now() + SECOND, session_id=session))
    assert not denylist.denies(principal(clock.now() - SECOND))


def test_person_is_denied_up_to_the_revocation_and_not_after(clock: FrozenClock) -> None:
    denylist, user = DenyList(keep=KEEP), uuid4()
    denylist.deny_person(user, clock.now())
    assert denylist.denies(principal(clock.now(), user))
    assert denylist.denies(principal(clock.now() - SECOND, user))
    assert not denylist.denies(principal(clock.now() + SECOND, user))
    assert not denylist.denies(principal(clock.now() - SECOND, uuid4()))


def test_older_revocation_heard_later_changes_nothing(clock: FrozenClock) -> None:
    denylist, user = DenyList(keep=KEEP), uuid4()
    denylist.deny_person(user, clock.now())
    denylist.deny_person(user, clock.now() - timedelta(minutes=5))
    assert denylist.denies(principal(clock.now() - SECOND, user))


def test_sign_in_within_the_second_of_the_revocation_is_welcome(clock: FrozenClock) -> None:
    denylist, user = DenyList(keep=KEEP), uuid4()
    before = new_id()
    denylist.deny_person(user, datetime.fromtimestamp((before.int >> 80) / 1000, clock.now().tzinfo))
    whole_second = clock.now().replace(microsecond=0) - SECOND
    assert denylist.denies(principal(whole_second, user, before))
    later = UUID(int=before.int + (1 << 80))
    assert not denylist.denies(principal(whole_second, user, later))


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_revocations_are_forgotten_when_no_token_can_be_left(clock: FrozenClock) -> None:
    stopwatch = Stopwatch()
    denylist = DenyList(keep=KEEP, monotonic=stopwatch)
    for _ in range(10):
        denylist.deny_session(uuid4())
        denylist.deny_person(uuid4(), clock.now())
    stopwatch.seconds += KEEP.total_seconds() - 1
    denylist.deny_session(uuid4())
    assert len(denylist) == 21
    stopwatch.seconds += 62
    denylist.deny_session(uuid4())
    assert len(denylist) == 2


def test_session_is_kept_for_as_long_as_identity_says_its_tokens_live_and_never_longer_than_any_may() -> None:
    stopwatch = Stopwatch()
    denylist = DenyList(keep=KEEP, monotonic=stopwatch)
    brief, bogus = uuid4(), uuid4()
    denylist.deny_session(brief, expires_in=100)
    denylist.deny_session(bogus, expires_in=float("inf"))
    stopwatch.seconds = 150
    denylist.deny_session(uuid4())
    assert denylist.denies_session(brief)
    stopwatch.seconds = 300
    denylist.deny_session(uuid4())
    assert not denylist.denies_session(brief)
    assert denylist.denies_session(bogus)
    stopwatch.seconds = KEEP.total_seconds() + 100
    denylist.deny_session(uuid4())
    assert not denylist.denies_session(bogus)


def test_own_clock_is_believed_only_where_identitys_agrees(clock: FrozenClock) -> None:
    said = format_datetime(clock.now().replace(microsecond=0), usegmt=True)
    moment = clock.now().replace(microsecond=0)
    assert moment_of_answer(said, clock.now()) == clock.now()
    assert moment_of_answer(said, moment + timedelta(minutes=10)) == moment
    assert moment_of_answer(said, moment - timedelta(minutes=10)) == moment
    assert moment_of_answer(None, clock.now()) == clock.now()
    assert moment_of_answer("nonsense", clock.now()) == clock.now()
