"""Ended sessions: which access tokens are refused although they have not expired, and how that gets here."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from pydantic import BaseModel, Field, ValidationError

from chassis.auth import Principal
from chassis.faults import TransientFault
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.problems import describe

PATH = "/internal/session-revocations"
WAIT_SECONDS = 3
"""How long identity may hold the question open.

An answer says what was true when it was asked for, so knowledge is up to two such questions old: well below
the time after which silence means blindness.
"""
ANSWER_MARGIN_SECONDS = 2.0
RETRY_SECONDS = 0.5
STALE_SECONDS = 10.0
SWEEP_SECONDS = 60.0
MARGIN_SECONDS = 60.0
"""Added to what identity says about the end of a session's last token: verifiers allow for clocks, too."""
_TIMED_UUID = 7

log = structlog.get_logger(__name__)


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


class Revocation(BaseModel):
    """One ended session, and in how many seconds its last token has expired, by identity's clock."""

    session_id: UUID
    expires_in: float = Field(allow_inf_nan=False)


class Page(BaseModel):
    """The revocations after a position, the position to ask from next, and whether nothing more waits."""

    position: int
    revocations: list[Revocation]
    complete: bool


class FeedStale(TransientFault):
    """Identity has not answered for so long that ended sessions may be unknown here."""


class RevocationFeed:
    """Follows identity's list of revocations by long polling."""

    def __init__(
        self,
        identity: ServiceClient,
        denylist: DenyList,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._denylist = denylist
        self._monotonic = monotonic
        self._position = 0
        self._known_until = float("-inf")

    @property
    def fresh(self) -> bool:
        """Whether everything revoked more than ten seconds ago is known here."""
        return self._monotonic() - self._known_until <= STALE_SECONDS

    async def check(self) -> None:
        """Raise `FeedStale` unless the feed is fresh; the health check."""
        if not self.fresh:
            raise FeedStale("identity does not answer about ended sessions")

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._pull()
            except (NeighbourUnavailable, NeighbourRefused, ValidationError) as error:
                log.warning("revocations_not_heard", error=describe(error))
                # Who returns may be an identity restored from a backup, which counts anew: hear it all again.
                self._position = 0
                await asyncio.sleep(RETRY_SECONDS)

    async def _pull(self) -> None:
        # Whoever is behind must not wait for news: until the feed has caught up nobody is let in.
        wait = WAIT_SECONDS if self.fresh else 0
        asked_at = self._monotonic()
        document = await self._identity.get(
            PATH,
            params={"after": str(self._position), "wait": str(wait)},
            seconds=wait + ANSWER_MARGIN_SECONDS,
        )
        page = Page.model_validate(document)
        for revocation in page.revocations:
            self._denylist.deny_session(revocation.session_id, expires_in=revocation.expires_in)
        self._position = page.position
        if page.complete:
            self._known_until = asked_at
