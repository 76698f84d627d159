"""Sessions and people whose access tokens are refused although they have not expired yet."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from chassis.auth import Principal
from chassis.clock import Clock

SWEEP_EVERY = timedelta(seconds=60)
_TIMED_UUID = 7


class DenyList:
    """Remembers revocations for as long as a token of theirs could live.

    It is memory only: identity keeps the truth, and a gateway that starts asks for all of it.
    """

    def __init__(self, clock: Clock, *, keep: timedelta) -> None:
        """`keep` is the longest lifetime of an access token that the gateway accepts."""
        self.keep = keep
        self._clock = clock
        self._sessions: dict[UUID, datetime] = {}
        self._people: dict[UUID, datetime] = {}
        self._next_sweep = clock.now() + SWEEP_EVERY

    def deny_session(self, session_id: UUID, revoked_at: datetime) -> None:
        """Refuse every token of that session."""
        self._sessions[session_id] = max(revoked_at, self._sessions.get(session_id, revoked_at))
        self._sweep()

    def deny_person(self, user_id: UUID, revoked_at: datetime) -> None:
        """Refuse every token of that person issued at or before `revoked_at`; later sessions are welcome."""
        self._people[user_id] = max(revoked_at, self._people.get(user_id, revoked_at))
        self._sweep()

    def denies_session(self, session_id: UUID) -> bool:
        """Tell whether that session has ended."""
        return session_id in self._sessions

    def denies(self, principal: Principal) -> bool:
        """Tell whether the principal's session has ended."""
        if self.denies_session(principal.session_id):
            return True
        revoked_at = self._people.get(principal.user_id)
        return revoked_at is not None and _began_at(principal) <= revoked_at

    def __len__(self) -> int:
        return len(self._sessions) + len(self._people)

    def _sweep(self) -> None:
        now = self._clock.now()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_EVERY
        forgotten = now - self.keep
        for kept in (self._sessions, self._people):
            for key in [key for key, revoked_at in kept.items() if revoked_at < forgotten]:
                del kept[key]


def _began_at(principal: Principal) -> datetime:
    """Return when the token was issued, to the millisecond where its session tells that.

    `iat` may be cut to whole seconds, and someone who signs in again within the second in which all sessions
    ended must not be turned away. A session's id is a UUIDv7: it carries the moment of the sign-in.
    """
    session = principal.session_id
    if session.version != _TIMED_UUID:
        return principal.issued_at
    return max(principal.issued_at, datetime.fromtimestamp((session.int >> 80) / 1000, UTC))
