"""The question of the coordinator that every participant answers: what is held of a person."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from chassis.callers import require_service
from chassis.holds import Hold
from chassis.inventory import Inventory, TakeInventory
from contracts.registry import COORDINATOR

MOST_HOLDS = 64 * 1024
"""Letters of a list of holds."""

router = APIRouter(prefix="/internal", include_in_schema=False)


async def own_inventory(request: Request) -> TakeInventory:
    """Return what counts what this service holds of a person; it is `app.state.take_inventory`."""
    take_inventory: TakeInventory = request.app.state.take_inventory
    return take_inventory


OwnInventory = Annotated[TakeInventory, Depends(own_inventory)]


@router.get("/inventory/{user_id}", dependencies=[Depends(require_service(COORDINATOR))])
async def inventory(
    user_id: UUID, take_inventory: OwnInventory, holds: Annotated[str, Query(max_length=MOST_HOLDS)] = "[]"
) -> Inventory:
    """Tell what this service holds of the person, what holds (a JSON list) would keep, and what stays."""
    return await take_inventory(user_id, [Hold.read(it) for it in json.loads(holds)])
