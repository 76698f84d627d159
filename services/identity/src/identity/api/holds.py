"""What an officer does about holds; everybody else is refused before anything is read."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import problems
from chassis.problems import Forbidden, NotFound, Unauthorized
from identity.api.dependencies import FRESH, CurrentService, SignedIn, require_fresh_sign_in
from identity.erasure.schemas import HoldList, HoldRelease, HoldRequest, OfficersHold
from identity.policy import FreshSignInNeeded
from identity.repositories import Account, Holds, Users
from identity.use_cases.erasure.end_hold import end_hold
from identity.use_cases.erasure.place_hold import (
    HolderSilent,
    HoldRefused,
    HoldWithoutTime,
    NewHold,
    NobodyToHold,
    place_hold,
)

LISTED = 200

router = APIRouter(prefix="/api/v1/operations/holds", tags=["operations"], route_class=IdempotentRoute)


async def officer(user: SignedIn, service: CurrentService) -> Account:
    """Return the caller's account; raises `Forbidden` for whoever may not operate the platform."""
    async with service.database.read_only() as session:
        if not await Users(session).is_officer(user.id):
            raise Forbidden
    return user


Officer = Annotated[Account, Depends(officer)]


async def acting_officer(principal: CurrentPrincipal, user: Officer, service: CurrentService) -> Account:
    """Return the officer; raises `FreshSignInNeeded` when the sign-in was too long ago."""
    require_fresh_sign_in(service, principal, within=FRESH)
    return user


ActingOfficer = Annotated[Account, Depends(acting_officer)]


@router.post(
    "",
    summary="Keep something of a person from being erased",
    status_code=201,
    responses=problems(
        Unauthorized, Forbidden, FreshSignInNeeded, NobodyToHold, HoldRefused, HoldWithoutTime, HolderSilent
    ),
)
async def hold(body: HoldRequest, officer: ActingOfficer, service: CurrentService) -> OfficersHold:
    """Keep one record, or all of a kind, from being erased until a day; the rest of the person may go.

    Needs a sign-in of the last five minutes. The same hold again is the first one.
    """
    terms = {name: value for name, value in vars(body).items() if name != "subject"}
    placed = await place_hold(
        service.database,
        service.inventories,
        subject=body.subject,
        wanted=NewHold(**terms),
        rules=service.rules,
        officer=service.officer_hash(officer.id),
    )
    return OfficersHold.model_validate(placed)


@router.get("", summary="List the holds in force", responses=problems(Unauthorized, Forbidden))
async def list_holds(_: Officer, service: CurrentService) -> HoldList:
    """List the holds in force, what ends first coming first."""
    async with service.database.read_only() as session:
        found = await Holds(session).all_in_force(limit=LISTED + 1)
    shown = [OfficersHold.model_validate(it) for it in found[:LISTED]]
    return HoldList(holds=shown, more=len(found) > LISTED)


@router.post(
    "/{hold_id}/release",
    summary="End a hold before its time",
    responses=problems(Unauthorized, Forbidden, FreshSignInNeeded, NotFound),
)
async def release_hold(
    hold_id: UUID, body: HoldRelease, officer: ActingOfficer, service: CurrentService
) -> OfficersHold:
    """End a hold; what it kept is erased if an erasure is open. One that has ended stays as it ended.

    Needs a sign-in of the last five minutes.
    """
    async with service.unit_of_work() as uow:
        await end_hold(
            uow,
            hold_id,
            rules=service.rules,
            released_by=body.released_by,
            reason=body.reason,
            officer=service.officer_hash(officer.id),
        )
        ended = await Holds(uow.session).find(hold_id)
        if ended is None:
            raise NotFound
        return OfficersHold.model_validate(ended)
