"""What other services ask identity; never forwarded by the gateway."""

import asyncio
import time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from chassis.service_auth import require_service
from contracts.topology import erasure_participants
from identity import schemas
from identity.api.dependencies import CurrentService
from identity.repositories import Erasures, Sessions

REVOCATION_POLL_SECONDS = 0.2
REVOCATION_PAGE = 1000

router = APIRouter(prefix="/internal", include_in_schema=False)


@router.get("/erasures")
async def open_erasures(
    service: CurrentService,
    caller: Annotated[str, Depends(require_service(*erasure_participants()))],
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> schemas.OpenErasurePage:
    """List the erasures that the calling participant has not reported."""
    async with service.unit_of_work() as uow:
        waiting = await Erasures(uow.session).waiting_for(
            caller, after=UUID(after) if after else None, limit=limit
        )
    items = [
        schemas.OpenErasureRead(
            erasure_id=erasure.id,
            user_id=erasure.user_id,
            requested_at=erasure.requested_at,
            deadline=erasure.deadline,
        )
        for erasure in waiting
        if erasure.user_id is not None
    ]
    return schemas.OpenErasurePage(items=items, next=str(waiting[-1].id) if len(waiting) == limit else "")


@router.get("/session-revocations", dependencies=[Depends(require_service("gateway"))])
async def session_revocations(
    service: CurrentService,
    after: Annotated[int, Query(ge=0)] = 0,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> schemas.RevocationPage:
    """List the revocations after a position; waits up to `wait` seconds for the next one."""
    deadline = time.monotonic() + wait
    while True:
        async with service.unit_of_work() as uow:
            found = await Sessions(uow.session).revocations_after(
                after, now=service.clock.now(), limit=REVOCATION_PAGE
            )
        if found or time.monotonic() >= deadline:
            return schemas.RevocationPage(
                position=found[-1].position if found else after,
                revocations=[
                    schemas.RevocationRead(session_id=row.session_id, revoked_at=row.revoked_at)
                    for row in found
                ],
            )
        await asyncio.sleep(REVOCATION_POLL_SECONDS)
