"""A worker made of nothing but the chassis, as a program: `python widget_worker.py worker`."""

from uuid import UUID

from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict
from sqlalchemy import text

from chassis.consumer import Consumer
from chassis.db import Database, UnitOfWork
from chassis.entry import run_service
from chassis.settings import StatefulSettings, key_bytes
from chassis.worker import Worker
from contracts.consent import ConsentParticipantJoined
from contracts.envelope import Envelope
from contracts.identity import UserDeleted


class WidgetSettings(StatefulSettings):
    model_config = SettingsConfigDict(env_prefix="WIDGET_", extra="ignore", hide_input_in_errors=True)

    doomed: bool = False


async def act(uow: UnitOfWork, envelope: Envelope[UserDeleted]) -> None:
    await uow.session.execute(text("INSERT INTO consent.effects VALUES (:id, '')"), {"id": envelope.id})


async def fail() -> None:
    raise LookupError(f"canary {UUID(int=0)}")


async def create_worker(settings: WidgetSettings) -> Worker:
    database = Database(
        settings.database_url, schema="consent", tombstone_key=key_bytes(settings.tombstone_key)
    )
    return Worker(
        settings=settings,
        database=database,
        consumers=[Consumer("consent.erase-user", {UserDeleted: act})],
        loops={"doomed-part": fail} if settings.doomed else {},
        announce=ConsentParticipantJoined.of(handles=("erasure",), version=settings.version),
    )


def create_api(_settings: WidgetSettings) -> FastAPI:
    return FastAPI()


if __name__ == "__main__":
    run_service("widget", WidgetSettings, create_api=create_api, create_worker=create_worker)
