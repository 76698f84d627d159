"""Composition root: builds the API and the worker of identity; nothing runs at import."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from fastapi import FastAPI

from chassis.api import create_app
from chassis.auth import AccessTokens, KeySet
from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.idempotency import Idempotency
from chassis.problems import describe
from chassis.worker import Periodic, Worker
from contracts.identity import IdentityErasureReported, IdentityParticipantJoined
from identity.api import ROUTERS
from identity.consumers import consumers
from identity.repositories import (
    Erasures,
    Mails,
    PasskeyChallenges,
    Revocations,
    Sessions,
    SigningKeys,
    SpentTokens,
)
from identity.settings import IdentitySettings
from identity.use_cases.erase_person import IdentityHoldings
from identity.use_cases.remind_participants import remind_participants
from identity.use_cases.send_mail import MailDelivery
from identity.wiring import Service, open_service

RECONCILE_LIMIT = 500

log = structlog.get_logger(__name__)
FORGET_SECONDS = 300.0
KEEP_ENDED_SESSIONS = timedelta(hours=72)


def create_api(settings: IdentitySettings) -> FastAPI:
    """Return the HTTP side; its collaborators open with the application's lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service(settings) as service:
            install(app, service)
            following = asyncio.create_task(service.follow_key_rotation(), name="follow-key-rotation")
            following.add_done_callback(_end_with)
            try:
                yield
            finally:
                following.remove_done_callback(_end_with)
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    async def check_database() -> None:
        await app.state.service.database.ping()

    app = create_app(
        settings,
        title="IrisVue identity",
        routers=ROUTERS,
        checks={"db": check_database},
        lifespan=lifespan,
    )
    return app


def _end_with(part: "asyncio.Task[None]") -> None:
    """End the process with a part that ended: an API that knows no new keys would only look alive."""
    error = None if part.cancelled() else part.exception()
    log.error("api_part_ended", part=part.get_name(), error=describe(error) if error else "ended")
    # Running requests are finished, and whoever started the process sees that no stop was asked for.
    signal.raise_signal(signal.SIGTERM)


def install(app: FastAPI, service: Service) -> None:
    """Give the application its collaborators."""

    async def own_keys() -> dict[str, Any]:
        return service.tokens.jwks(service.clock.now())

    app.state.service = service
    app.state.service_tokens = service.service_tokens
    app.state.idempotency = Idempotency(service.database, before_replay=service.refuse_ended_session)
    app.state.access_tokens = AccessTokens(
        KeySet(own_keys),
        issuer=service.settings.access_token_issuer,
        audience=service.settings.access_token_audience,
    )


async def create_worker(settings: IdentitySettings) -> Worker:
    """Return the worker: relay, consumers, identity's own erasures, reminders and house-keeping."""
    resources = AsyncExitStack()
    service = await resources.enter_async_context(open_service(settings))
    farewell = timedelta(minutes=settings.farewell_minutes)
    holdings = IdentityHoldings(service.database, farewell=farewell, revoker=service.providers.apple_grants)
    participation = ErasureParticipation(service.database, holdings, reported=IdentityErasureReported)
    mails = MailDelivery(
        service.database,
        service.mail_sender,
        service.limits,
        outage=timedelta(minutes=settings.mail_outage_minutes),
    )
    return Worker(
        settings=settings,
        database=service.database,
        consumers=consumers(service, participation),
        loops={"erasures": participation.run, "mails": mails.run},
        periodic=_periodic_work(service, participation),
        checks={"mail": mails.check},
        announce=IdentityParticipantJoined.of(handles=("erasure",), version=settings.version),
        resources=resources,
    )


def _periodic_work(service: Service, participation: ErasureParticipation) -> list[Periodic]:
    settings = service.settings

    async def own_open_erasures() -> list[OpenErasure]:
        async with service.unit_of_work() as uow:
            waiting = await Erasures(uow.session).waiting_for("identity", after=None, limit=RECONCILE_LIMIT)
        return [
            OpenErasure(row.id, row.user_id, row.requested_at, row.deadline) for row in waiting if row.user_id
        ]

    async def remind() -> None:
        async with service.unit_of_work() as uow:
            await remind_participants(
                uow, now=service.clock.now(), base_pause=timedelta(seconds=settings.reminder_seconds)
            )

    return [
        Periodic(
            "reconcile-erasures",
            settings.reconcile_seconds,
            lambda: participation.reconcile(own_open_erasures),
        ),
        Periodic("remind-participants", settings.reminder_seconds, remind),
        Periodic("forget-what-expired", FORGET_SECONDS, lambda: forget_what_expired(service)),
    ]


async def forget_what_expired(service: Service) -> None:
    """Delete the rows that no request can need any more; a signing key ends with its last token."""
    now = service.clock.now()
    async with service.unit_of_work() as uow:
        await Revocations(uow.session).forget()
        await Mails(uow.session).forget_old(now=now)
        await SpentTokens(uow.session).forget_expired(now=now)
        await PasskeyChallenges(uow.session).forget_expired(now=now)
        await SigningKeys(uow.session).forget_replaced(before=now - service.tokens.ring.keep)
    await _prune_sessions(service)


async def _prune_sessions(service: Service) -> None:
    before = service.clock.now() - KEEP_ENDED_SESSIONS
    last_live = service.session_rules.live_since(before)
    pruned = True
    while pruned:
        async with service.unit_of_work() as uow:
            pruned = bool(await Sessions(uow.session).prune(ended_before=before, last_live=last_live))
