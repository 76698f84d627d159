"""Identity, declared: its API, its worker and its part in exports and in the erasures that it coordinates."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from chassis.db import UnitOfWork
from chassis.erasing import Erasing
from chassis.erasure import OpenErasure
from chassis.export import Exporting
from chassis.service import Service
from chassis.work import Periodic, Work
from contracts.identity import UserDeleted
from contracts.storage import ExportRequested
from identity import wiring
from identity.holdings import HOLDINGS, PLACES, RETAINED
from identity.models import Base
from identity.repositories import Erasures, Mails
from identity.settings import IdentitySettings
from identity.use_cases.erasure.collect_report import collect_report
from identity.use_cases.erasure.end_graces import end_graces
from identity.use_cases.erasure.end_hold import end_expired_holds
from identity.use_cases.erasure.notify_processors import ProcessorDelivery
from identity.use_cases.erasure.remind_participants import BATCH, remind_participants
from identity.use_cases.erasure.reopen_erasure import reopen_erasure
from identity.use_cases.erasure.watch_open_erasures import alarm_of_late_erasures, tell_late_erasures
from identity.use_cases.mail.send_mail import MailDelivery
from identity.use_cases.operations.forget_expired import forget_expired

if TYPE_CHECKING:
    from fastapi import APIRouter

PAGE = 500
FORGET_SECONDS = 300.0


def routers() -> Sequence["APIRouter"]:
    """Return what identity's API answers."""
    from identity.api import ROUTERS  # noqa: PLC0415 - a worker does not need it

    return ROUTERS


def own_keys(opened: wiring.Service) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return the keys of access tokens, which identity need not ask anybody for."""

    async def keys() -> dict[str, Any]:
        return opened.tokens.jwks(opened.clock.now())

    return keys


def farewell_begun(opened: wiring.Service) -> datetime:
    """Return since when a last mail may keep its erasure waiting."""
    return opened.clock.now() - timedelta(minutes=opened.settings.farewell_minutes)


def own_open_erasures(opened: wiring.Service) -> Callable[[], Awaitable[list[OpenErasure]]]:
    """Return the erasures that wait for identity's own report."""

    async def waiting() -> list[OpenErasure]:
        found: list[OpenErasure] = []
        while True:
            after = found[-1].erasure_id if found else None
            async with opened.database.read_only() as session:
                page = await Erasures(session).waiting_for("identity", after=after, limit=PAGE)
            # Nothing that identity has can be held.
            found += [OpenErasure(it.id, it.user_id, it.requested_at, it.deadline) for it in page]
            if len(page) < PAGE:
                return found

    return waiting


async def reopen(opened: wiring.Service, uow: UnitOfWork, erasure: OpenErasure) -> None:
    """Begin an erasure again after a restore."""
    await reopen_erasure(uow, user_id=erasure.user_id, erasure_id=erasure.erasure_id, rules=opened.rules)


async def forget_what_expired(opened: wiring.Service) -> None:
    """Delete the rows that no request can need any more."""
    keep_keys = opened.tokens.signing_keys.keep
    await forget_expired(opened.database, opened.rules, keep_keys=keep_keys)


async def ask_silent_participants(opened: wiring.Service) -> None:
    """Ask everybody again who has been silent for too long."""
    pause, reminded = timedelta(seconds=opened.settings.reminder_seconds), BATCH
    while reminded == BATCH:
        async with opened.unit_of_work() as uow:
            reminded = await remind_participants(uow, base_pause=pause)


def processor_delivery(opened: wiring.Service) -> ProcessorDelivery:
    """Return what asks processors outside of the platform, and records what they report."""
    return ProcessorDelivery(
        opened.database,
        opened.processors,
        collect=partial(collect_report, certificates=opened.certificates),
    )


def work(opened: wiring.Service) -> Work:
    """Return what identity's worker does: mails, reminders of erasures, and house-keeping."""
    from identity.consumers import consumers  # noqa: PLC0415 - an API does not need it

    settings = opened.settings
    outage = timedelta(minutes=settings.mail_outage_minutes)
    mails = MailDelivery(opened.database, opened.mail_sender, opened.limits, outage=outage)

    loops = {"mails": mails.run, "follow-key-rotation": opened.follow_key_rotation}
    checks = {"mail": mails.check, "erasures": lambda: tell_late_erasures(opened.database)}
    if settings.processors:
        processors = processor_delivery(opened)
        loops["processors"], checks["processors"] = processors.run, processors.check
    return Work(
        consumers=consumers(opened),
        # Certificates and requests to processors are signed here.
        loops=loops,
        periodic=[
            Periodic(
                "remind-participants", settings.reminder_seconds, lambda: ask_silent_participants(opened)
            ),
            Periodic(
                "watch-open-erasures",
                settings.reminder_seconds,
                lambda: alarm_of_late_erasures(opened.database),
            ),
            Periodic(
                "end-graces",
                settings.reminder_seconds,
                lambda: end_graces(opened.database, rules=opened.rules),
            ),
            Periodic(
                "end-holds",
                settings.reminder_seconds,
                lambda: end_expired_holds(opened.database, rules=opened.rules),
            ),
            Periodic("forget-what-expired", FORGET_SECONDS, lambda: forget_what_expired(opened)),
        ],
        checks=checks,
    )


IDENTITY: Service[IdentitySettings, wiring.Service] = Service(
    "identity",
    IdentitySettings,
    open=wiring.open_service,
    routers=routers,
    signing_keys=own_keys,
    api_loops={
        "follow-key-rotation": wiring.Service.follow_key_rotation,
        "wake-ups": lambda opened: opened.database.notifications.listen(),
    },
    before_replay=wiring.Service.refuse_ended_session,
    work=work,
    erasing=Erasing(
        event=UserDeleted,
        holdings=HOLDINGS,
        open_erasures=own_open_erasures,
        schemas=(Base.metadata,),
        places=PLACES,
        reopen=reopen,
        ready=lambda opened, tasks: Mails.farewell_has_left(tasks, since=partial(farewell_begun, opened)),
        retained=RETAINED,
    ),
    exporting=Exporting(event=ExportRequested, assembler=lambda opened: opened.storage),
)
