"""The question of the coordinator that every participant answers: what is held of a person."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from chassis.callers import require_service
from chassis.inventory import Inventory, TakeInventory
from contracts.registry import COORDINATOR

router = APIRouter(prefix="/internal", include_in_schema=False)


async def own_inventory(request: Request) -> TakeInventory:
    """Return what counts what this service holds of a person; it is `app.state.take_inventory`."""
    take_inventory: TakeInventory = request.app.state.take_inventory
    return take_inventory


OwnInventory = Annotated[TakeInventory, Depends(own_inventory)]


@router.get("/inventory/{user_id}", dependencies=[Depends(require_service(COORDINATOR))])
async def inventory(user_id: UUID, take_inventory: OwnInventory) -> Inventory:
    """Tell what this service holds of the person, and what stays of them."""
    return await take_inventory(user_id)
