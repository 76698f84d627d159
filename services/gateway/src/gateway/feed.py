"""What identity says about ended sessions, pulled continuously: each gateway hears all of it."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from pydantic import BaseModel, Field, ValidationError

from chassis.faults import TransientFault
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.problems import describe
from gateway.denylist import DenyList

PATH = "/internal/session-revocations"
WAIT_SECONDS = 3
"""How long identity may hold the question open.

An answer says what was true when it was asked for, so knowledge is up to two such questions old: well below
the time after which silence means blindness.
"""
ANSWER_MARGIN_SECONDS = 2.0
RETRY_SECONDS = 0.5
STALE_SECONDS = 10.0

log = structlog.get_logger(__name__)


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
