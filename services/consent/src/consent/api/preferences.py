"""How a person wants their data to be treated; what they agreed to is `consents`."""

from fastapi import APIRouter

from chassis.callers import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import Problem
from consent.api.dependencies import CurrentService, HonoursSignal, SignalSent
from consent.examples import PREFERENCES
from consent.preference_schemas import PreferencesRead, PreferencesRequest
from consent.preferences import Choice
from consent.use_cases.change_preferences import change_preferences
from consent.use_cases.show_preferences import show_preferences

router = APIRouter(prefix="/api/v1/privacy", tags=["consent"], route_class=IdempotentRoute)


class SignalPresent(Problem, status=409, slug="opt-out-signal-present", title="Your browser opts you out"):
    """The person opts in, and their browser says the opposite in the same breath."""

    detail = (
        "Your browser or device sends the Global Privacy Control signal, so you stay opted out of sale and"
        " sharing. Nothing else was changed. Turn the signal off for this service to opt in."
    )


@router.get(
    "/preferences",
    name="get_preferences",
    summary="How the caller's data is treated at their wish",
    dependencies=[HonoursSignal],
    responses=example(PREFERENCES),
)
async def get_preferences(service: CurrentService, principal: CurrentPrincipal) -> PreferencesRead:
    """Show what holds, since when, and whether an opt-out was honoured; `Sec-GPC: 1` is one."""
    return PreferencesRead.of(await show_preferences(service.database, user_id=principal.user_id))


@router.put(
    "/preferences",
    name="put_preferences",
    summary="Choose how the caller's data is treated",
    responses=example(PREFERENCES) | problems(SignalPresent),
)
async def put_preferences(
    body: PreferencesRequest, service: CurrentService, principal: CurrentPrincipal, signal: SignalSent
) -> PreferencesRead:
    """Replace all choices; repeated it changes nothing. Opting in is refused while the signal is sent."""
    if signal and not body.opt_out_of_sale_and_sharing:
        raise SignalPresent
    choice = Choice(opt_out=body.opt_out_of_sale_and_sharing, limit=body.limit_sensitive_data_use)
    changed = await change_preferences(
        service.database, choice, user_id=principal.user_id, now=service.clock.now()
    )
    return PreferencesRead.of(changed)
