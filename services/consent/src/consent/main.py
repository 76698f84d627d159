"""Consent, declared: its API, its worker and its part in erasures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chassis.service import Erasing, Service, erasures_of_identity, keys_of_identity
from chassis.work import Periodic, Work
from consent import wiring
from consent.holdings import HOLDINGS
from consent.settings import ConsentSettings
from consent.use_cases.expire_consents import expire_consents
from contracts.identity import UserDeleted

if TYPE_CHECKING:
    from fastapi import APIRouter


def routers() -> Sequence["APIRouter"]:
    """Return what consent's API answers."""
    from consent.api import ROUTERS  # noqa: PLC0415 - a worker does not need it

    return ROUTERS


def work(opened: wiring.Service) -> Work:
    """Return what consent's worker does: consents end when their time is over."""

    async def expire() -> None:
        await expire_consents(opened.database, clock=opened.clock)

    return Work(periodic=[Periodic("expire-consents", opened.settings.expiry_seconds, expire)])


CONSENT: Service[ConsentSettings, wiring.Service] = Service(
    "consent",
    ConsentSettings,
    open=wiring.open_service,
    routers=routers,
    signing_keys=keys_of_identity,
    work=work,
    erasing=Erasing(
        event=UserDeleted,
        holdings=HOLDINGS,
        open_erasures=erasures_of_identity,
    ),
)
