"""The journal, declared: its API, its worker and its part in erasures."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chassis.db import Database
from chassis.declarations import DataClass, Purpose
from chassis.holdings import Holding, OnErase
from chassis.http import ServiceClient
from chassis.service import Erasing, Service, erasures_of_identity, keys_of_identity
from chassis.service_auth import ServiceTokens
from chassis.settings import key_bytes
from contracts.identity import UserDeleted
from journal.models import SCHEMA, Base, Entry
from journal.settings import JournalSettings


@dataclass(frozen=True)
class Opened:
    """The journal's collaborators, built once per process."""

    settings: JournalSettings
    database: Database
    service_tokens: ServiceTokens
    identity: ServiceClient


@asynccontextmanager
async def open_service(settings: JournalSettings) -> AsyncIterator[Opened]:
    """Build the collaborators, and close what they hold at the end."""
    tokens = ServiceTokens.of("journal", settings)
    database = Database(settings.database_url, schema=SCHEMA, tombstone_key=key_bytes(settings.tombstone_key))
    async with ServiceClient(settings.identity_url, audience="identity", tokens=tokens) as identity:
        yield Opened(settings, database, tokens, identity)
    await database.close()


JOURNAL: Service[JournalSettings, Opened] = Service(
    "journal",
    JournalSettings,
    open=open_service,
    routers=list,
    signing_keys=keys_of_identity,
    erasing=Erasing(
        event=UserDeleted,
        holdings=[
            Holding(
                kind="entries",
                data_class=DataClass.CONTENT,
                purpose=Purpose.SERVICE,
                retention="until the account is erased",
                on_erase=OnErase.DELETE,
                in_export=True,
                person=Entry.user_id,
            )
        ],
        schemas=(Base.metadata,),
        open_erasures=erasures_of_identity,
    ),
)
