"""What the routes of consent share."""

from typing import Annotated

from fastapi import Depends, Header, Request

from chassis.callers import client_address, current_principal
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


_Signal = Annotated[
    str | None,
    Header(description="`1` is the Global Privacy Control signal: it opts out of sale and sharing."),
]


async def _honour_signal(request: Request, sec_gpc: _Signal = None) -> bool:
    """Opt out whoever sends the signal; returns whether it was sent."""
    # Of all values only this one says something (Global Privacy Control, W3C). Who calls, and with what, is
    # asked for only then: each further dependency is solved for every request.
    if sec_gpc != "1":
        return False
    principal, service = await current_principal(request), await _service(request)
    await change_preferences(service.database, Signal(), user_id=principal.user_id, now=service.clock.now())
    return True


HonoursSignal = Depends(_honour_signal)
SignalSent = Annotated[bool, HonoursSignal]
