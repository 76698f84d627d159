"""The status of an erasure, for whoever holds its token."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query

from chassis.openapi import problems
from chassis.problems import NotFound
from identity.api.dependencies import CurrentService
from identity.erasure.schemas import ErasureRead
from identity.use_cases.erasure.show_erasure import show_erasure

router = APIRouter(prefix="/api/v1/privacy/erasures", tags=["erasure"])


@router.get("/{erasure_id}", summary="Show how far an erasure is", responses=problems(NotFound))
async def erasure_status(
    erasure_id: UUID,
    service: CurrentService,
    header_token: Annotated[str, Header(alias="X-Erasure-Token", max_length=128)] = "",
    token: Annotated[str, Query(max_length=128)] = "",
) -> ErasureRead:
    """Show how far an erasure is; the status token of the deletion is the key."""
    async with service.unit_of_work() as uow:
        return await show_erasure(uow, erasure_id=erasure_id, token=header_token or token)
