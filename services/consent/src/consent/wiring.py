"""What a request or a message of consent may use."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from chassis.clock import Clock, SystemClock
from chassis.db import Database, UnitOfWork
from chassis.http import ServiceClient
from chassis.service_auth import ServiceTokens
from consent.geography import Geography
from consent.models import SCHEMA
from consent.records import RecordTerms
from consent.rule_files import load_records, load_rulebook
from consent.rulebook import Rulebook
from consent.settings import ConsentSettings
from consent.transparency.keys import LogKeys
from consent.use_cases.grant_consent import GrantLimits
from contracts.fields import ConsentType


@dataclass(frozen=True)
class Service:
    """Consent's collaborators, built once per process."""

    settings: ConsentSettings
    database: Database
    clock: Clock
    rulebook: Rulebook
    records: RecordTerms
    geography: Geography
    service_tokens: ServiceTokens
    log_keys: LogKeys
    identity: ServiceClient
    storage: ServiceClient

    @property
    def limits(self) -> GrantLimits:
        """What a grant has to keep to."""
        proved = {ConsentType.BIOMETRIC_CAPTURE} if self.settings.proved_address_for_biometrics else set()
        return GrantLimits(self.settings.changes_per_hour, frozenset(proved), self.settings.regulator_filings)

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction; see `chassis.db`."""
        return self.database.unit_of_work()


@asynccontextmanager
async def open_service(settings: ConsentSettings, clock: Clock | None = None) -> AsyncIterator[Service]:
    """Build the collaborators, and close what they hold at the end."""
    clock = clock or SystemClock()
    rulebook = load_rulebook()
    if unknown := settings.regulator_filings.keys() - rulebook.regimes.keys():
        raise ValueError(f"CONSENT_REGULATOR_FILINGS names no jurisdiction: {', '.join(sorted(unknown))}")
    geography = Geography(settings.geoip_db_path, rulebook)
    service_tokens = ServiceTokens.of("consent", settings)
    log_keys = LogKeys(
        settings.origin,
        settings.log_seeds,
        settings.private_signing_key,
        issuer=settings.public_url,
        retired=settings.retired_signing_keys,
    )
    database = Database.of(settings, schema=SCHEMA, clock=clock)
    try:
        async with (
            ServiceClient(settings.identity_url, audience="identity", tokens=service_tokens) as identity,
            ServiceClient(settings.storage_url, audience="storage", tokens=service_tokens) as storage,
        ):
            yield Service(
                settings=settings,
                database=database,
                clock=clock,
                rulebook=rulebook,
                records=load_records().under(settings.controller_name, settings.controller_contact),
                geography=geography,
                service_tokens=service_tokens,
                log_keys=log_keys,
                identity=identity,
                storage=storage,
            )
    finally:
        geography.close()
        await database.close()
