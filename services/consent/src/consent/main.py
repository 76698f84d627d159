"""Consent, declared: its API, its worker and its part in erasures and exports."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chassis.coordinator import erasures_of_identity, keys_of_identity
from chassis.erasing import Erasing
from chassis.export import Exporting
from chassis.process import Run
from chassis.reconcile import holds_of_identity
from chassis.service import Service
from chassis.work import Periodic, Work
from consent import wiring
from consent.consumers import consumers
from consent.deadlines import erasure_deadline
from consent.holdings import HOLDINGS, PLACES, RETAINED
from consent.models import Base
from consent.settings import ConsentSettings, WitnessAddress
from consent.use_cases.ask_witness import Witnessing
from consent.use_cases.end_idle_consents import end_idle_consents
from consent.use_cases.expire_consents import expire_consents
from consent.use_cases.find_regimes import find_regimes
from consent.use_cases.seal_log import seal_log
from contracts.identity import UserDeleted
from contracts.storage import ExportRequested

if TYPE_CHECKING:
    from fastapi import APIRouter


def routers() -> Sequence["APIRouter"]:
    """Return what consent's API answers."""
    from consent.api import ROUTERS  # noqa: PLC0415 - a worker does not need it

    return ROUTERS


def work(opened: wiring.Service) -> Work:
    """Return what consent's worker does: end consents, seal the log, store checkpoints, ask witnesses."""
    # An API stores nothing, and does without the library.
    from consent.use_cases.store_checkpoints import Storing  # noqa: PLC0415

    settings = opened.settings
    storing = Storing(opened.database, settings)

    async def expire() -> None:
        await expire_consents(opened.database, clock=opened.clock)

    async def end_idle() -> None:
        await end_idle_consents(opened.database, rulebook=opened.rulebook, clock=opened.clock)

    async def seal() -> None:
        await seal_log(opened.database, keys=opened.log_keys, clock=opened.clock)

    def witness(address: WitnessAddress) -> Run:
        asking = Witnessing(opened.database, address.url, address.verifier)
        return Periodic("ask-witness", settings.witness_seconds, asking.ask).run

    return Work(
        consumers=consumers(),
        periodic=[
            Periodic("expire-consents", settings.expiry_seconds, expire),
            Periodic("end-idle-consents", settings.retention_seconds, end_idle),
            Periodic("seal-log", settings.seal_seconds, seal),
        ],
        # Each witness has a loop of its own: one that is slow or away holds nothing else.
        loops={
            "store-checkpoints": storing.run,
            **{f"ask-{address.verifier.name}": witness(address) for address in settings.witnesses},
        },
        checks={"checkpoints": storing.tell},
    )


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
        schemas=(Base.metadata,),
        places=PLACES,
        open_erasures=erasures_of_identity,
        regimes=lambda opened, people: find_regimes(opened.database, people),
        retained=RETAINED,
        holds=holds_of_identity,
        deadline=lambda opened, regimes, at: erasure_deadline(opened.rulebook, regimes, at),
    ),
    exporting=Exporting(event=ExportRequested, assembler=lambda opened: opened.storage),
)
