"""What the routes of consent share."""

from typing import Annotated

from fastapi import Depends, Request

from chassis.networks import normalised
from chassis.service_auth import client_address
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
