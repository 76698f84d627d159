"""Storage, declared: its API, its worker and its part in erasures."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from chassis.reconcile import holds_of_identity
from chassis.service import Erasing, Service, erasures_of_identity, keys_of_identity
from chassis.work import Periodic, Work
from contracts.identity import UserDeleted
from storage import wiring
from storage.holdings import HOLDINGS, PLACES
from storage.models import Base, KeyringBase
from storage.settings import StorageSettings
from storage.use_cases.expire_uploads import expire_uploads
from storage.use_cases.reconcile_consents import reconcile_consents
from storage.use_cases.reconcile_in_turn import reconcile_in_turn

if TYPE_CHECKING:
    from fastapi import APIRouter

# The routes that take photos count their bytes themselves.
UNLIMITED_PATHS = (
    r"^/api/v1/photos/[^/]+/content$",
    r"^/api/v1/photos/uploads(?:/[^/]+)?$",
)
LOOK_AT_TURN_SECONDS = 900.0


def routers() -> Sequence["APIRouter"]:
    """Return what storage's API answers."""
    from storage.api import ROUTERS  # noqa: PLC0415 - a worker does not need it

    return ROUTERS


def work(opened: wiring.Service) -> Work:
    """Return what storage's worker does: destructions, and the sweeps of old uploads and consents."""
    from storage.consumers import consumers  # noqa: PLC0415 - an API does not need it

    settings = opened.settings

    async def expire() -> None:
        await expire_uploads(
            opened.database,
            upload_takes=opened.upload_takes,
            confirm_within=timedelta(hours=settings.confirm_hours),
        )

    async def follow_feed() -> None:
        await reconcile_consents(opened.database, opened.consents)

    async def compare_bucket() -> None:
        await reconcile_in_turn(
            opened.database,
            opened.vault,
            every=timedelta(hours=settings.reconcile_bucket_hours),
            unsettled=opened.unsettled,
        )

    return Work(
        consumers=consumers(opened),
        loops={"destructions": opened.destroyer.run},
        periodic=[
            Periodic("reconcile-consents", settings.reconcile_seconds, follow_feed),
            Periodic("expire-uploads", settings.expire_poll_seconds, expire),
            Periodic("reconcile-objects", LOOK_AT_TURN_SECONDS, compare_bucket),
        ],
        checks={"keyring": opened.keyring.ping, "storage": opened.vault.check},
    )


STORAGE: Service[StorageSettings, wiring.Service] = Service(
    "storage",
    StorageSettings,
    open=wiring.open_service,
    routers=routers,
    unlimited_paths=UNLIMITED_PATHS,
    signing_keys=keys_of_identity,
    checks={"db": wiring.Service.ping_databases, "storage": lambda opened: opened.vault.check()},
    work=work,
    erasing=Erasing(
        event=UserDeleted,
        holdings=HOLDINGS,
        schemas=(Base.metadata, KeyringBase.metadata),
        places=PLACES,
        open_erasures=erasures_of_identity,
        further_schemas=lambda opened: [(opened.keyring, opened.vault.destroy_buried_keys)],
        key_providers=lambda opened: opened.key_providers.names,
        holds=holds_of_identity,
    ),
)
