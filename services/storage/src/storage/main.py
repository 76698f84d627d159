"""Storage, declared: its API, its worker and its part in erasures and exports."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from chassis.coordinator import erasures_of_identity, keys_of_identity
from chassis.erasing import Erasing
from chassis.reconcile import holds_of_identity
from chassis.service import Service
from chassis.work import Periodic, Work
from contracts.identity import UserDeleted
from storage import wiring
from storage.holdings import HOLDINGS, PLACES
from storage.models import Base, KeyringBase
from storage.settings import StorageSettings
from storage.use_cases.ask_for_vacuum import ask_for_vacuum
from storage.use_cases.destroy_withdrawn import destroy_withdrawn
from storage.use_cases.expire_uploads import expire_uploads
from storage.use_cases.exports.build_archive import ArchiveBuilder
from storage.use_cases.exports.expire_exports import expire_exports, remind_contributors, tell_exports
from storage.use_cases.follow_hold import reconcile_holds, release_held_photos
from storage.use_cases.forget_reads import forget_reads
from storage.use_cases.reconcile_consents import reconcile_consents
from storage.use_cases.reconcile_in_turn import reconcile_in_turn

if TYPE_CHECKING:
    from fastapi import APIRouter

FORGET_READS_SECONDS = 3600.0
# The routes that take photos and sections count their bytes themselves.
UNLIMITED_PATHS = (
    r"^/api/v1/photos/[^/]+/content$",
    r"^/api/v1/photos/uploads(?:/[^/]+)?$",
    r"^/internal/exports/[^/]+/sections/[^/]+$",
)
LOOK_AT_TURN_SECONDS = 900.0


def routers() -> Sequence["APIRouter"]:
    """Return what storage's API answers."""
    from storage.api import ROUTERS  # noqa: PLC0415 - a worker does not need it

    return ROUTERS


def archive_builder(opened: wiring.Service) -> ArchiveBuilder:
    """Return what puts archives together; storage's own section is written into them at once."""
    own = STORAGE.section(opened)
    return ArchiveBuilder(
        opened.database, opened.exports, opened.consents, own=own, terms=opened.export_terms
    )


async def give_up_uploads(opened: wiring.Service) -> None:
    """Let go of uploads that nobody finished."""
    await expire_uploads(
        opened.database,
        upload_takes=opened.upload_takes,
        confirm_within=timedelta(hours=opened.settings.confirm_hours),
    )


async def compare_bucket(opened: wiring.Service) -> None:
    """Compare the bucket with the photos, when it is time."""
    await reconcile_in_turn(
        opened.database,
        opened.vault,
        every=timedelta(hours=opened.settings.reconcile_bucket_hours),
        unsettled=opened.unsettled,
    )


async def ask_what_is_held(opened: wiring.Service) -> None:
    """Take over what identity says is held, whatever became of its messages."""
    await reconcile_holds(opened.database, holds_of_identity(opened))


async def release_held(opened: wiring.Service) -> None:
    """Let go of what only a hold has kept that has ended."""
    await release_held_photos(opened.database)


async def ask_again(opened: wiring.Service) -> None:
    """Ask contributors again that have been silent for too long."""
    pause = timedelta(seconds=opened.settings.export_reminder_seconds)
    await remind_contributors(opened.database, opened.export_terms, pause=pause)


def vacuum_in_turn(settings: StorageSettings) -> list[Periodic]:
    """Return what asks the store to vacuum, where it is known whom to ask."""
    if settings.vacuum_url is None:
        return []
    return [Periodic("vacuum", settings.vacuum_seconds, partial(ask_for_vacuum, settings.vacuum_url))]


def work(opened: wiring.Service) -> Work:
    """Return what storage's worker does: destructions, archives, and the sweeps of what is old."""
    from storage.consumers import consumers  # noqa: PLC0415 - an API does not need it

    settings = opened.settings
    follow_feed = partial(reconcile_consents, opened.database, opened.consents)
    forget = partial(forget_reads, opened.database, keep=timedelta(days=settings.read_log_days))
    return Work(
        consumers=consumers(opened),
        loops={"destructions": opened.destroyer.run, "exports": archive_builder(opened).run},
        periodic=[
            Periodic("reconcile-consents", settings.reconcile_seconds, follow_feed),
            Periodic("reconcile-holds", settings.reconcile_seconds, lambda: ask_what_is_held(opened)),
            Periodic("release-held-photos", settings.expire_poll_seconds, lambda: release_held(opened)),
            Periodic("reconcile-objects", LOOK_AT_TURN_SECONDS, lambda: compare_bucket(opened)),
            Periodic("expire-uploads", settings.expire_poll_seconds, lambda: give_up_uploads(opened)),
            Periodic(
                "destroy-withdrawn", settings.expire_poll_seconds, lambda: destroy_withdrawn(opened.database)
            ),
            Periodic(
                "expire-exports",
                settings.expire_poll_seconds,
                lambda: expire_exports(opened.database, opened.export_terms),
            ),
            Periodic("remind-contributors", settings.export_reminder_seconds, lambda: ask_again(opened)),
            Periodic("forget-reads", FORGET_READS_SECONDS, forget),
            *vacuum_in_turn(settings),
        ],
        checks={
            "keyring": opened.keyring.ping,
            "storage": opened.vault.check,
            "exports": lambda: tell_exports(opened.database),
        },
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
