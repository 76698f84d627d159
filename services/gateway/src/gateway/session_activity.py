"""Which generation of each session has been seen here, told to identity.

A replaced refresh token is a lost answer as long as nobody has used what replaced it, and a copy afterwards.
Only the door sees that use, whichever service was asked.
"""

import asyncio
from collections import OrderedDict
from itertools import islice
from uuid import UUID

import structlog

from chassis.auth import Principal
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.problems import describe

PATH = "/internal/sessions/seen"
PAUSE_SECONDS = 1.0
MOST_AT_ONCE = 1000
MOST_WAITING = 20_000
MOST_REMEMBERED = 100_000

log = structlog.get_logger(__name__)


class SessionActivity:
    """Collects what was seen and tells it once a second; no request waits for that, and it may be lost."""

    def __init__(self, identity: ServiceClient) -> None:
        self._identity = identity
        self._known: OrderedDict[UUID, int] = OrderedDict()
        self._waiting: OrderedDict[UUID, int] = OrderedDict()

    @property
    def remembered(self) -> int:
        """How many sessions are known here."""
        return len(self._known)

    def record(self, principal: Principal) -> None:
        """Remember that a token of the session was used; only a generation that is new here is told."""
        session, generation = principal.session_id, principal.generation
        if generation is None or self._known.get(session, -1) >= generation:
            return
        _put(self._known, session, generation, most=MOST_REMEMBERED)
        _put(self._waiting, session, generation, most=MOST_WAITING)

    async def run(self) -> None:
        """Tell identity until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            while self._waiting and await self._tell():
                continue

    async def _tell(self) -> bool:
        """Tell a batch; returns whether it was heard."""
        batch = dict(islice(self._waiting.items(), MOST_AT_ONCE))
        seen = [{"session_id": str(session), "generation": number} for session, number in batch.items()]
        try:
            await self._identity.post(PATH, {"seen": seen})
        except NeighbourUnavailable as error:
            log.warning("session_activity_not_reported", error=describe(error))
            return False
        except NeighbourRefused as error:
            # Repeating it would not help, and it may be lost.
            log.error("session_activity_refused", status=error.status)
        for session, generation in batch.items():
            if self._waiting.get(session) == generation:
                del self._waiting[session]
        return True


def _put(kept: OrderedDict[UUID, int], session: UUID, generation: int, *, most: int) -> None:
    kept[session] = generation
    kept.move_to_end(session)
    while len(kept) > most:
        kept.popitem(last=False)
