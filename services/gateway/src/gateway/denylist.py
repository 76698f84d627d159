"""Sessions and people whose access tokens are refused although they have not expired yet."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from chassis.auth import Principal

SWEEP_SECONDS = 60.0
MARGIN_SECONDS = 60.0
"""Added to what identity says about the end of a session's last token: verifiers allow for clocks, too."""
_TIMED_UUID = 7


class DenyList:
    """Remembers revocations for as long as a token of theirs could live.

    It is memory only: identity keeps the truth, and a gateway that starts asks for all of it. Spans are
    measured by this process alone, and moments are identity's: no two machines' clocks are compared.
    """

    def __init__(self, *, keep: timedelta, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`keep` is the longest lifetime of an access token that the gateway accepts."""
        self.keep = keep
        self._monotonic = monotonic
        self._sessions: dict[UUID, float] = {}
        self._people: dict[UUID, tuple[datetime, float]] = {}
        self._next_sweep = monotonic() + SWEEP_SECONDS

    def deny_session(self, session_id: UUID, *, expires_in: float | None = None) -> None:
        """Refuse every token of that session, the last of which expires in `expires_in` seconds at most."""
        longest = self.keep.total_seconds()
        seconds = longest if expires_in is None else min(expires_in + MARGIN_SECONDS, longest)
        until = self._monotonic() + seconds
        self._sessions[session_id] = max(until, self._sessions.get(session_id, until))
        self._sweep()

    def deny_person(self, user_id: UUID, revoked_at: datetime) -> None:
        """Refuse the person's tokens issued until identity's `revoked_at`; later sessions are welcome."""
        known, _ = self._people.get(user_id, (revoked_at, 0.0))
        self._people[user_id] = (max(revoked_at, known), self._monotonic() + self.keep.total_seconds())
        self._sweep()

    def denies_session(self, session_id: UUID) -> bool:
        """Tell whether that session has ended."""
        return session_id in self._sessions

    def denies(self, principal: Principal) -> bool:
        """Tell whether the principal's session has ended."""
        if self.denies_session(principal.session_id):
            return True
        revoked_at, _ = self._people.get(principal.user_id, (None, 0.0))
        return revoked_at is not None and _began_at(principal) <= revoked_at

    def __len__(self) -> int:
        return len(self._sessions) + len(self._people)

    def _sweep(self) -> None:
        now = self._monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_SECONDS
        self._sessions = {key: until for key, until in self._sessions.items() if until > now}
        self._people = {key: entry for key, entry in self._people.items() if entry[1] > now}


def _began_at(principal: Principal) -> datetime:
    """Return when the token was issued, to the millisecond where its session tells that.

    `iat` may be cut to whole seconds, and someone who signs in again within the second in which all sessions
    ended must not be turned away. A session's id is a UUIDv7: it carries the moment of the sign-in.
    """
    session = principal.session_id
    if session.version != _TIMED_UUID:
        return principal.issued_at
    return max(principal.issued_at, datetime.fromtimestamp((session.int >> 80) / 1000, UTC))
