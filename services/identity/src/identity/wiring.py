"""What a request or a message of identity may use."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from chassis.clock import Clock, SystemClock
from chassis.counters import connect_redis
from chassis.db import Database, UnitOfWork
from chassis.faults import is_transient
from chassis.http import ServiceClient
from chassis.keyed_lock import KeyedLock
from chassis.problems import describe
from chassis.sealing import SealBroken, SealingKeys, derived_key
from chassis.service_auth import ServiceTokens
from chassis.settings import key_bytes
from chassis.signing_keys import SigningKey, open_private_key
from identity.account_rules import AccountRules
from identity.erasure.certificate import SUBJECT_PURPOSE, CertificateIssuer
from identity.erasure.inventories import Inventories, open_inventories
from identity.erasure.processors import ProcessorClient
from identity.limits import AccountLimits
from identity.mail.transport import SmtpTransport
from identity.models import SCHEMA
from identity.passwords import Argon2Pool
from identity.policy import InvalidRefreshToken
from identity.providers.wiring import Providers, open_providers
from identity.repositories import Sessions, StoredSigningKeys
from identity.settings import IdentitySettings
from identity.tokens import TokenIssuer, UnreadableRefreshToken
from identity.use_cases.mail.send_mail import Sender

KEY_POLL_SECONDS = 15.0
OFFICERS = "officers"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Service:
    """Identity's collaborators, built once per process."""

    settings: IdentitySettings
    database: Database
    clock: Clock
    hasher: Argon2Pool
    tokens: TokenIssuer
    service_tokens: ServiceTokens
    mail_sender: Sender
    limits: AccountLimits
    refreshes: KeyedLock
    providers: Providers
    certificates: CertificateIssuer
    inventories: Inventories
    processors: ProcessorClient
    storage: ServiceClient

    @property
    def rules(self) -> AccountRules:
        """How long sessions and erasures may take, and how many sessions an account may have."""
        return AccountRules.of(self.settings)

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction; see `chassis.db`."""
        return self.database.unit_of_work()

    async def refuse_ended_session(self, body: bytes) -> None:
        """Raise `InvalidRefreshToken` when a kept answer holds tokens of a session that has ended."""
        token = json.loads(body).get("refresh_token") if b'"refresh_token"' in body else None
        if token is None:
            return
        try:
            session_id = self.tokens.read_refresh_token(token).session_id
        except UnreadableRefreshToken:
            raise InvalidRefreshToken from None
        live = self.rules.live_since(self.clock.now())
        async with self.database.read_only() as session:
            if not await Sessions(session).is_live(session_id, live):
                raise InvalidRefreshToken

    def officer_hash(self, user_id: UUID) -> str:
        """Return under which name an officer stands beside what they did: it outlives the account."""
        return hmac.new(self.database.subkey(OFFICERS), user_id.bytes, hashlib.sha256).hexdigest()

    @property
    def sealing_keys(self) -> SealingKeys:
        """What seals the signing keys that rotation makes."""
        secret = key_bytes(self.settings.refresh_token_key)
        derived = derived_key(secret, b"irisvue identity signing keys")
        return SealingKeys("IDENTITY_REFRESH_TOKEN_KEY", [derived])

    async def load_keys(self) -> None:
        """Take over the signing keys that rotation has stored, if our secret opens them."""
        async with self.unit_of_work() as uow:
            rows = await StoredSigningKeys(uow.session).all()
        opened = []
        for row in rows:
            try:
                key = open_private_key(row.sealed_private_key, kid=row.kid, keys=self.sealing_keys)
            except SealBroken as error:
                log.error("signing_key_not_opened", kid=row.kid, error=str(error))
            else:
                opened.append(SigningKey(row.kid, key, row.public_jwk, row.active_from))
        self.tokens.signing_keys.replace(opened)

    async def follow_key_rotation(self) -> None:
        """Look for rotated keys until cancelled; a database that is away leaves the known keys in use."""
        while True:
            try:
                await self.load_keys()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("signing_keys_not_loaded", error=describe(error))
            await asyncio.sleep(KEY_POLL_SECONDS)


@asynccontextmanager
async def open_service(settings: IdentitySettings, clock: Clock | None = None) -> AsyncIterator[Service]:
    """Build the collaborators, and close what they hold at the end."""
    clock = clock or SystemClock()
    database = Database.of(settings, schema=SCHEMA, clock=clock)
    hasher = _hasher(settings)
    tokens = TokenIssuer(settings)
    redis = connect_redis(settings.redis_url.get_secret_value())
    service_tokens = ServiceTokens.of("identity", settings)
    try:
        async with (
            open_providers(settings, clock) as providers,
            open_inventories(settings.participant_urls, service_tokens) as inventories,
            ProcessorClient(settings.processors, signing=tokens.signing_keys.signing) as processors,
            ServiceClient(settings.storage_url, audience="storage", tokens=service_tokens) as storage,
        ):
            yield Service(
                settings=settings,
                database=database,
                clock=clock,
                hasher=hasher,
                tokens=tokens,
                service_tokens=service_tokens,
                mail_sender=_mail_sender(settings),
                refreshes=KeyedLock(),
                limits=AccountLimits(redis, secret=key_bytes(settings.refresh_token_key)),
                providers=providers,
                certificates=CertificateIssuer(
                    tokens.signing_keys,
                    issuer=settings.public_url,
                    subject_key=database.subkey(SUBJECT_PURPOSE),
                    backups=settings.backup_terms,
                ),
                inventories=inventories,
                processors=processors,
                storage=storage,
            )
    finally:
        hasher.close()
        await redis.aclose()
        await database.close()


def _hasher(settings: IdentitySettings) -> Argon2Pool:
    return Argon2Pool(
        memory_kib=settings.argon2_memory_kib,
        iterations=settings.argon2_iterations,
        parallelism=settings.argon2_parallelism,
        threads=settings.argon2_threads,
        wait_seconds=settings.argon2_wait_seconds,
    )


def _mail_sender(settings: IdentitySettings) -> Sender:
    return Sender(
        transport=SmtpTransport(settings.smtp_url.get_secret_value()),
        address=settings.mail_sender,
        link_base=settings.link_base,
        verify_for=timedelta(hours=settings.verify_hours),
        reset_for=timedelta(minutes=settings.reset_minutes),
        cancel_for=timedelta(hours=settings.erasure_grace),
    )
