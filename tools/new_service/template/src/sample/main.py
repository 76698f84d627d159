"""Sample, declared: its API, its worker and its part in erasures and exports."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chassis.coordinator import erasures_of_identity, keys_of_identity
from chassis.erasing import Erasing
from chassis.export import Exporting
from chassis.service import Service
from contracts.identity import UserDeleted
from contracts.storage import ExportRequested
from sample import wiring
from sample.holdings import HOLDINGS, PLACES
from sample.models import Base
from sample.settings import SampleSettings

if TYPE_CHECKING:
    from fastapi import APIRouter


def routers() -> Sequence["APIRouter"]:
    """Return what the API answers; a worker does without."""
    from sample.api import router  # noqa: PLC0415 - as said

    return (router,)


SAMPLE: Service[SampleSettings, wiring.Service] = Service(
    "sample",
    SampleSettings,
    open=wiring.open_service,
    routers=routers,
    signing_keys=keys_of_identity,
    erasing=Erasing(
        event=UserDeleted,
        holdings=HOLDINGS,
        schemas=[Base.metadata],
        places=PLACES,
        open_erasures=erasures_of_identity,
    ),
    exporting=Exporting(event=ExportRequested, assembler=lambda opened: opened.storage),
)
