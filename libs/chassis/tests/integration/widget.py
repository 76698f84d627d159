"""A service made of nothing but the chassis, as a program: `python widget.py api|worker`."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic_settings import SettingsConfigDict
from sqlalchemy import text

from chassis import process
from chassis.consumer import Consumer
from chassis.coordinator import erasures_of_identity, keys_of_identity
from chassis.db import Database, UnitOfWork
from chassis.declarations import DataClass, Purpose
from chassis.erasing import Erasing
from chassis.erasure_journal import ErasureJournal
from chassis.holdings import Holding, OnErase
from chassis.http import ServiceClient
from chassis.service import Service
from chassis.service_auth import ServiceTokens
from chassis.settings import StatefulSettings, key_bytes
from chassis.worker import Worker
from contracts.envelope import Envelope
from contracts.identity import UserDeleted

HELD = 4711
"""The advisory lock that a test takes to keep a message or an erasure under way."""
router = APIRouter()


class WidgetSettings(StatefulSettings):
    model_config = SettingsConfigDict(env_prefix="WIDGET_", extra="ignore", hide_input_in_errors=True)

    doomed: Literal["", "raises", "returns", "cancelled", "holds"] = ""
    stop_seconds: float = process.STOP_SECONDS


@dataclass(frozen=True)
class Opened:
    settings: WidgetSettings
    database: Database
    service_tokens: ServiceTokens
    identity: ServiceClient


@asynccontextmanager
async def open_widget(settings: WidgetSettings) -> AsyncIterator[Opened]:
    process.STOP_SECONDS = settings.stop_seconds
    tokens = ServiceTokens.of("consent", settings)
    key = key_bytes(settings.tombstone_key)
    database = Database(settings.database_url, schema="consent", tombstone_key=key)
    async with ServiceClient("http://127.0.0.1:1", audience="identity", tokens=tokens) as identity:
        yield Opened(settings, database, tokens, identity)
    await database.close()


@router.post("/internal/slow")
async def slow(request: Request) -> dict[str, int]:
    """Answer when the body has arrived."""
    return {"bytes": len(await request.body())}


async def doomed(opened: Opened) -> None:
    """End as the settings say, or never."""
    match opened.settings.doomed:
        case "raises":
            raise LookupError(f"canary {UUID(int=0)}")
        case "cancelled":
            raise asyncio.CancelledError
        case "returns":
            return
    try:
        await asyncio.Event().wait()
    finally:
        if opened.settings.doomed == "holds":
            time.sleep(60)  # noqa: ASYNC251 - what holds the loop is what the test is about


async def unless_held(uow: UnitOfWork) -> None:
    await uow.session.execute(text(f"SELECT pg_advisory_xact_lock_shared({HELD})"))


async def act(uow: UnitOfWork, envelope: Envelope[UserDeleted]) -> None:
    await unless_held(uow)
    await uow.session.execute(text("INSERT INTO consent.effects VALUES (:id, '')"), {"id": envelope.id})


async def erase_unless_held(opened: Opened, _user_ids: Sequence[UUID]) -> None:
    """Take as long as the lock is held."""
    async with opened.database.unit_of_work() as uow:
        await unless_held(uow)


async def none_left(_opened: Opened, user_ids: Sequence[UUID]) -> dict[UUID, int]:
    return dict.fromkeys(user_ids, 0)


WIDGETS: Holding[Opened] = Holding(
    kind="widgets",
    data_class=DataClass.CONTENT,
    purpose=Purpose.SERVICE,
    retention="until the account is erased",
    on_erase=OnErase.DELETE,
    in_export=False,
    count=none_left,
    erase=erase_unless_held,
)


class Widget(Service[WidgetSettings, Opened]):
    """Like any service, but its queue is the one that the broker's users of these tests may read."""

    def create_worker(self, opened: Opened, journals: Sequence[ErasureJournal] = ()) -> Worker:
        worker = super().create_worker(opened, journals)
        loops = {**worker.work.loops, "doomed-part": lambda: doomed(opened)}
        consumers = [Consumer("consent.erase-user", {UserDeleted: act})]
        return replace(worker, work=replace(worker.work, consumers=consumers, loops=loops))


WIDGET: Widget = Widget(
    "consent",
    WidgetSettings,
    open=open_widget,
    routers=lambda: [router],
    signing_keys=keys_of_identity,
    api_loops={"doomed-part": doomed},
    erasing=Erasing(
        event=UserDeleted,
        holdings=[WIDGETS],
        schemas=(),
        open_erasures=erasures_of_identity,
    ),
)

if __name__ == "__main__":
    WIDGET.run()
