"""What a request or a message of this service may use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chassis.clock import Clock, SystemClock
from chassis.db import Database
from chassis.http import ServiceClient
from chassis.service_auth import ServiceTokens
from sample.models import SCHEMA
from sample.settings import SampleSettings


@dataclass(frozen=True)
class Service:
    """The collaborators, built once per process."""

    settings: SampleSettings
    database: Database
    service_tokens: ServiceTokens
    identity: ServiceClient
    storage: ServiceClient


@asynccontextmanager
async def open_service(settings: SampleSettings, clock: Clock | None = None) -> AsyncIterator[Service]:
    """Build the collaborators, and close what they hold at the end."""
    tokens = ServiceTokens.of("sample", settings)
    database = Database.of(settings, schema=SCHEMA, clock=clock or SystemClock())
    async with (
        ServiceClient(settings.identity_url, audience="identity", tokens=tokens) as identity,
        ServiceClient(settings.storage_url, audience="storage", tokens=tokens) as storage,
    ):
        try:
            yield Service(settings, database, tokens, identity, storage)
        finally:
            await database.close()
