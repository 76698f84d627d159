"""The routes of this service."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from sample.policy import TooManyEntries
from sample.schemas import EntryList, EntryRead, EntryRequest
from sample.use_cases.add_entry import add_entry
from sample.use_cases.list_entries import list_entries
from sample.wiring import Service

router = APIRouter(prefix="/api/v1/sample", tags=["sample"], route_class=IdempotentRoute)


async def _service(request: Request) -> Service:
    opened: Service = request.app.state.service
    return opened


CurrentService = Annotated[Service, Depends(_service)]


@router.post(
    "/entries", status_code=201, summary="Keep what the caller wrote", responses=problems(TooManyEntries)
)
async def post_sample_entry(
    body: EntryRequest, caller: CurrentPrincipal, service: CurrentService
) -> EntryRead:
    """Add an entry; nobody else can read it."""
    async with service.database.unit_of_work() as uow:
        entry = await add_entry(uow, user_id=caller.user_id, words=body.words)
        return EntryRead.model_validate(entry)


@router.get("/entries", summary="The caller's entries")
async def get_sample_entries(caller: CurrentPrincipal, service: CurrentService) -> EntryList:
    """List all of them, the newest first."""
    found = await list_entries(service.database, user_id=caller.user_id)
    return EntryList(entries=[EntryRead.model_validate(entry) for entry in found])
