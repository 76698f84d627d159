"""What other services ask identity; never forwarded by the gateway."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from chassis.callers import require_service
from chassis.problems import NotFound
from contracts.topology import erasure_participants
from identity import schemas
from identity.api.dependencies import CurrentService
from identity.erasure.schemas import OpenErasurePage, OpenErasureRead, StandingHold, StandingHolds
from identity.models import SessionRevocation
from identity.repositories import Certificates, Erasures, Holds, Revocation, Revocations, Sessions, Users

REVOCATION_POLL_SECONDS = 0.5
"""Whoever ends a session wakes those who wait; this is for a wake-up that gets lost."""
REVOCATION_PAGE = 1000

router = APIRouter(prefix="/internal", include_in_schema=False)


@router.get("/erasures")
async def open_erasures(
    service: CurrentService,
    caller: Annotated[str, Depends(require_service(*erasure_participants()))],
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> OpenErasurePage:
    """List the erasures that the calling participant has not reported."""
    async with service.database.read_only() as session:
        waiting = await Erasures(session).waiting_for(
            caller, after=UUID(after) if after else None, limit=limit
        )
    theirs = [
        erasure._replace(holds=tuple(it for it in erasure.holds if it.service == caller))
        for erasure in waiting
    ]
    items = [OpenErasureRead.model_validate(erasure, from_attributes=True) for erasure in theirs]
    return OpenErasurePage(items=items, next=str(waiting[-1].id) if len(waiting) == limit else "")


@router.get("/holds")
async def standing_holds(
    service: CurrentService,
    caller: Annotated[str, Depends(require_service(*erasure_participants()))],
) -> StandingHolds:
    """List what the calling participant must not erase yet, of everybody; after a restore it has to know."""
    async with service.database.read_only() as session:
        held = await Holds(session).in_force_in(caller)
    return StandingHolds(items=[StandingHold.model_validate(hold) for hold in held])


@router.get("/session-revocations", dependencies=[Depends(require_service("gateway"))])
async def session_revocations(
    service: CurrentService,
    after: Annotated[int, Query(ge=0)] = 0,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> schemas.RevocationPage:
    """List the revocations after a position; waits up to `wait` seconds for the next one."""
    deadline = time.monotonic() + wait
    ended = service.database.notifications.event(SessionRevocation.__tablename__)
    while True:
        ended.clear()
        async with service.database.read_only() as session:
            news = await Revocations(session).has_news(after)
        if news:
            async with service.unit_of_work() as uow:
                found, complete = await Revocations(uow.session).page(after, limit=REVOCATION_PAGE)
            return _page(found, complete=complete, position=after)
        if (left := deadline - time.monotonic()) <= 0:
            return _page([], complete=True, position=after)
        try:
            async with asyncio.timeout(min(left, REVOCATION_POLL_SECONDS)):
                await ended.wait()
        except TimeoutError:
            # No wake-up is no proof that nothing has happened.
            continue


@router.post("/sessions/seen", status_code=204, dependencies=[Depends(require_service("gateway"))])
async def sessions_seen(body: schemas.SeenTokens, service: CurrentService) -> None:
    """Note the first use of access tokens: since then their predecessors' refresh tokens are copies."""
    async with service.database.one_statement() as session:
        await Sessions(session).note_seen((one.session_id, one.generation) for one in body.seen)


@router.get("/officers/{user_id}", dependencies=[Depends(require_service("gateway"))])
async def officer(user_id: UUID, service: CurrentService) -> dict[str, bool]:
    """Tell that an account may operate the platform; 404 for every other, erased and unknown ones too."""
    async with service.database.read_only() as session:
        if not await Users(session).is_officer(user_id):
            raise NotFound
    return {"officer": True}


@router.get("/published-keys", dependencies=[Depends(require_service("gateway"))])
async def published_keys(service: CurrentService) -> dict[str, Any]:
    """Give a JWKS (RFC 7517 §5) of every key that has signed certificates: they verify no access token."""
    async with service.database.read_only() as session:
        return {"keys": await Certificates(session).public_keys()}


def _page(found: Sequence[Revocation], *, complete: bool, position: int) -> schemas.RevocationPage:
    return schemas.RevocationPage(
        position=found[-1].position if found else position,
        revocations=[schemas.RevocationRead.model_validate(one, from_attributes=True) for one in found],
        complete=complete,
    )
