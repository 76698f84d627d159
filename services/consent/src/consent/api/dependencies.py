"""What the routes of consent share."""

from typing import Annotated

from fastapi import Depends, Header, Request

from chassis.callers import CurrentPrincipal, client_address
from chassis.networks import normalised
from consent.preferences import Signal
from consent.use_cases.change_preferences import change_preferences
from consent.wiring import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(_service)]


def address_of(request: Request) -> str | None:
    """Return the one spelling of the client's address; None when it spells none."""
    return one_spelling(client_address(request))


def one_spelling(address: str | None) -> str | None:
    """Return the one spelling of an address; None for what is none."""
    found = normalised(address or "")
    return None if found is None else str(found)


def _signal_sent(
    sec_gpc: Annotated[
        str | None,
        Header(description="`1` is the Global Privacy Control signal: it opts out of sale and sharing."),
    ] = None,
) -> bool:
    # Of all values only this one says something (Global Privacy Control, W3C).
    return sec_gpc == "1"


SignalSent = Annotated[bool, Depends(_signal_sent)]


async def _honour_signal(service: CurrentService, principal: CurrentPrincipal, signal: SignalSent) -> None:
    if signal:
        await change_preferences(
            service.database, Signal(), user_id=principal.user_id, now=service.clock.now()
        )


HonoursSignal = Depends(_honour_signal)
