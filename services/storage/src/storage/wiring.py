"""What a request or a message of storage may use."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from chassis.clock import Clock, SystemClock
from chassis.db import Database, UnitOfWork
from chassis.http import ServiceClient
from chassis.object_store import ObjectStore, ObjectStoreSettings, open_object_store
from chassis.service_auth import ServiceTokens
from chassis.settings import all_key_bytes, key_bytes
from chassis.transfer_rate import LONGEST_TRANSFER_SECONDS
from storage import folder_keys
from storage.consents import Consents
from storage.exports.links import ExportLinks
from storage.exports.sealed_parts import ExportStore
from storage.folder_keys import FolderKeys
from storage.imaging import DecodingSandbox, SandboxLimits
from storage.key_providers.local import parse_key_encryption_keys
from storage.key_providers.opening import open_key_providers
from storage.key_providers.providers import KeyProviders
from storage.links import Links, UploadWay
from storage.models import KEYRING_SCHEMA, SCHEMA
from storage.quotas import Quota
from storage.sealing import KeyEncryption
from storage.settings import StorageSettings
from storage.transfers import Transfers
from storage.use_cases.accept_picture import Acceptance
from storage.use_cases.destroy_due import Destroyer
from storage.use_cases.exports.download_archive import ArchiveDownloads
from storage.use_cases.exports.receive_section import SectionReception
from storage.use_cases.exports.request_export import ExportTerms
from storage.use_cases.receive_bytes import Reception
from storage.use_cases.request_upload import UploadDesk
from storage.use_cases.resume_upload import ResumableUploads
from storage.use_cases.serve_photo import PhotoReader
from storage.vault import Vault

UPLOAD_MARGIN_SECONDS = 90
"""What an upload may take after its last byte: decoding, asking consent, writing to a slow store."""

SWEEP_MARGIN = timedelta(minutes=10)
CLOCK_MARGIN = timedelta(hours=1)
"""By how much the store's clock may differ from ours."""
KEYRING_CONNECTIONS = 4


@dataclass(frozen=True)
class Service:
    """Storage's collaborators, built once per process."""

    settings: StorageSettings
    database: Database
    keyring: Database
    key_providers: KeyProviders
    clock: Clock
    vault: Vault
    consents: Consents
    links: Links
    upload_desk: UploadDesk
    acceptance: Acceptance
    reception: Reception
    resumable_uploads: ResumableUploads
    destroyer: Destroyer
    reader: PhotoReader
    reads: Transfers
    exports: ExportStore
    service_tokens: ServiceTokens
    identity: ServiceClient

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction; see `chassis.db`."""
        return self.database.unit_of_work()

    async def ping_databases(self) -> None:
        """Prove that both databases answer."""
        await self.database.ping()
        await self.keyring.ping()

    @property
    def export_terms(self) -> ExportTerms:
        """How many exports, for how long, and how long everybody has to contribute."""
        return ExportTerms(
            per_day=self.settings.exports_per_day,
            patience=timedelta(days=self.settings.export_patience_days),
            kept=timedelta(hours=self.settings.export_hours),
        )

    @property
    def export_links(self) -> ExportLinks:
        """Links of exports."""
        return ExportLinks(key_bytes(self.settings.link_key), public_url=self.settings.public_url)

    @property
    def downloads(self) -> ArchiveDownloads:
        """What gives archives out."""
        return ArchiveDownloads(self.database, self.exports, self.consents)

    @property
    def sections(self) -> SectionReception:
        """What takes the sections of contributors."""
        limit = self.settings.export_section_bytes
        return SectionReception(self.database, self.exports, self.export_links, limit)

    @property
    def upload_takes(self) -> timedelta:
        """How long after its link is over an upload may still be running."""
        return self.acceptance.lease + SWEEP_MARGIN

    @property
    def unsettled(self) -> timedelta:
        """How old an object must be before nothing can be under way any more that explains it."""
        return timedelta(seconds=self.settings.upload_link_seconds) + self.upload_takes + CLOCK_MARGIN

    @property
    def late_sweeps(self) -> tuple[timedelta, ...]:
        """When an erased person's folder is looked at again."""
        link = timedelta(seconds=self.settings.upload_link_seconds)
        return link + self.upload_takes, timedelta(hours=self.settings.final_sweep_hours)


@asynccontextmanager
async def open_service(settings: StorageSettings, clock: Clock | None = None) -> AsyncIterator[Service]:
    """Build the collaborators, and close what they hold at the end; none of them connects yet."""
    clock = clock or SystemClock()
    tokens = ServiceTokens.of("storage", settings)
    consent = ServiceClient(settings.consent_url, audience="consent", tokens=tokens)
    identity = ServiceClient(settings.identity_url, audience="identity", tokens=tokens)
    async with AsyncExitStack() as stack:
        database, keyring = _databases(settings, clock)
        stack.push_async_callback(database.close)
        stack.push_async_callback(keyring.close)
        objects = await stack.enter_async_context(open_object_store(_store_settings(settings)))
        providers = await stack.enter_async_context(open_key_providers(settings))
        vault = _vault(settings, objects, database, keyring, providers)
        grace = timedelta(hours=settings.withdrawal_grace)
        consents = Consents(await stack.enter_async_context(consent), withdrawal_grace=grace)
        sandbox = DecodingSandbox(_sandbox_limits(settings))
        await stack.enter_async_context(sandbox)
        acceptance = _acceptance(settings, database, vault, sandbox, consents)
        uploads, destroyer = _uploads(settings), Destroyer(database, vault)
        yield Service(
            settings=settings,
            database=database,
            keyring=keyring,
            key_providers=providers,
            clock=clock,
            vault=vault,
            consents=consents,
            upload_desk=_upload_desk(settings, database, vault, consents),
            links=_links(settings),
            acceptance=acceptance,
            reception=Reception(acceptance, uploads),
            resumable_uploads=ResumableUploads(acceptance, uploads, destroyer),
            destroyer=destroyer,
            reader=PhotoReader(database, vault, consents),
            reads=_reads(settings),
            exports=ExportStore(objects, vault),
            service_tokens=tokens,
            identity=await stack.enter_async_context(identity),
        )


def _sandbox_limits(settings: StorageSettings) -> SandboxLimits:
    return SandboxLimits(
        memory_bytes=settings.sandbox_memory_bytes,
        pixels=settings.pixel_limit,
        processes=settings.sandbox_processes,
    )


def _acceptance(
    settings: StorageSettings, database: Database, vault: Vault, sandbox: DecodingSandbox, consents: Consents
) -> Acceptance:
    return Acceptance(
        database=database,
        vault=vault,
        sandbox=sandbox,
        consents=consents,
        lease=timedelta(seconds=LONGEST_TRANSFER_SECONDS + UPLOAD_MARGIN_SECONDS),
        proved_address_only=settings.proved_address_for_biometrics,
    )


def _uploads(settings: StorageSettings) -> Transfers:
    return Transfers(memory_bytes=settings.upload_memory_bytes, per_person=settings.uploads_per_person)


def _reads(settings: StorageSettings) -> Transfers:
    return Transfers(memory_bytes=settings.read_memory_bytes, per_person=settings.reads_per_person)


def _vault(
    settings: StorageSettings,
    objects: ObjectStore,
    database: Database,
    keyring: Database,
    encryption: KeyEncryption,
) -> Vault:
    # One hash per purpose: who sees two places can't tell that they speak of the same person.
    return Vault(
        objects=objects,
        keyring=keyring,
        encryption=encryption,
        folder_keys=FolderKeys(
            _newer_folder_keys(settings),
            oldest=database.subkey("storage/folders"),
            first_used=database.first_used,
            clock=database.clock,
        ),
        subject_slots=settings.subject_slots,
    )


def _newer_folder_keys(settings: StorageSettings) -> list[bytes]:
    return [] if settings.folder_keys is None else all_key_bytes(settings.folder_keys)


def _databases(settings: StorageSettings, clock: Clock) -> tuple[Database, Database]:
    wrapping: dict[str, bytes] = {}
    if settings.key_encryption_keys is not None:
        _, wrapping = parse_key_encryption_keys(settings.key_encryption_keys.get_secret_value())
    named = {f"STORAGE_KEY_ENCRYPTION_KEYS, {name}": key for name, key in wrapping.items()}
    named |= folder_keys.by_name(_newer_folder_keys(settings))
    database = Database.of(settings, schema=SCHEMA, clock=clock, keys=named)
    database.lasting_keys = (f"{folder_keys.SETTING}, ",)
    keyring = Database(
        settings.keyring_database_url,
        schema=KEYRING_SCHEMA,
        tombstone_key=database.subkey("storage/keyring"),
        application_name="storage-keyring",
        pool_size=KEYRING_CONNECTIONS,
        clock=clock,
    )
    return database, keyring


def _store_settings(settings: StorageSettings) -> ObjectStoreSettings:
    return ObjectStoreSettings(
        endpoint_url=settings.s3_endpoint_url,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        bucket=settings.s3_bucket,
        region=settings.s3_region,
    )


def _upload_desk(
    settings: StorageSettings, database: Database, vault: Vault, consents: Consents
) -> UploadDesk:
    life = {
        UploadWay.WHOLE: timedelta(seconds=settings.upload_link_seconds),
        UploadWay.IN_PIECES: timedelta(seconds=settings.resumable_upload_seconds),
    }
    quota = Quota(
        photos=settings.quota_photos,
        bytes=settings.quota_bytes,
        uploads_per_day=settings.quota_uploads_per_day,
    )
    return UploadDesk(database, vault, consents, _links(settings), life, quota)


def _links(settings: StorageSettings) -> Links:
    return Links(
        key_bytes(settings.link_key),
        public_url=settings.public_url,
        read_for=timedelta(seconds=settings.link_seconds),
    )
