"""Storage's settings, prefix STORAGE_."""

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.secret_checks import check_named_keys, in_production
from chassis.settings import DatabaseUrl, HexKey, HexKeys, Password, StatefulSettings
from storage.key_providers.local import LocalKeyEncryption
from storage.picture_memory import SANDBOX_OVERHEAD_BYTES, bytes_needed
from storage.sealing import InvalidKeyEncryptionKeys
from storage.stripping.frame import Frame

MEBIBYTE: Final = 1 << 20
LOOPBACK: Final = frozenset(["127.0.0.1", "::1", "localhost"])

PROCESS_BYTES = 256 * MEBIBYTE
"""What the API takes that holds no picture."""


def _check_keyring(value: SecretStr, info: ValidationInfo) -> SecretStr:
    text = value.get_secret_value()
    try:
        LocalKeyEncryption.parse(text)
    except InvalidKeyEncryptionKeys as error:
        raise ValueError(str(error)) from None
    check_named_keys(text, info)
    return value


class StorageSettings(StatefulSettings):
    """What storage needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="STORAGE_")

    port: int = Field(default=18103, description="Port of the API.")
    worker_port: int = Field(default=18113, description="Port on which the worker tells its health.")
    identity_url: str = Field(
        default="http://127.0.0.1:18101",
        description="Where identity answers: signing keys and open erasures.",
    )
    consent_url: str = Field(
        default="http://127.0.0.1:18102", description="Where consent answers: whether somebody agreed."
    )

    s3_endpoint_url: str = Field(description="The object store.")
    s3_access_key: Password = Field(description="S3 identity that reads and writes the bucket.")
    s3_secret_key: Password = Field(description="Its secret.")
    s3_bucket: str = Field(default="irisvue-photos", description="Where sealed photos lie.")
    s3_region: str = Field(default="us-east-1", description="The region of that bucket.")

    vacuum_url: str | None = Field(
        default=None,
        description="Where SeaweedFS's master answers, to be asked to give back what deleted objects take.",
    )
    vacuum_seconds: float = Field(default=300.0, gt=0, description="Pause between two such questions.")

    keyring_database_url: DatabaseUrl = Field(description="The database of the wrapped data keys.")
    keyring_owner_database_url: DatabaseUrl | None = Field(
        default=None, description="Only migrations use it."
    )
    key_provider: Literal["file", "aws-kms", "vault-transit"] = Field(
        default="file",
        description="What wraps data keys from now on; what another one has wrapped opens as long as that "
        "one is configured.",
    )
    key_encryption_keys: Annotated[SecretStr, AfterValidator(_check_keyring)] | None = Field(
        default=None,
        description='The provider "file": {"active":"k1","keys":{"k1":"<64 hex digits>"}}.',
    )
    key_service_seconds: float = Field(
        default=3.0, gt=0, le=10, description="What a call of a key service may take, its retries included."
    )
    aws_kms_key: str | None = Field(
        default=None, description="The provider aws-kms: the id, ARN or alias of a symmetric key."
    )
    aws_kms_region: str = Field(default="us-east-1", description="The region of that key.")
    aws_kms_endpoint_url: str | None = Field(
        default=None, description="Where KMS is, unless it is where AWS has it."
    )
    aws_kms_access_key: Password | None = Field(
        default=None,
        description="Who may encrypt and decrypt with that key; without one, whom the machine's role or "
        "the variables of AWS say.",
    )
    aws_kms_secret_key: Password | None = Field(default=None, description="Its secret.")
    vault_url: str | None = Field(
        default=None,
        description="The provider vault-transit: where Vault, OpenBao, or an agent of it answers.",
    )
    vault_mount: str = Field(
        default="transit", pattern="^[A-Za-z0-9_/-]+$", description="Where its transit engine is mounted."
    )
    vault_key: str = Field(
        default="irisvue", pattern="^[A-Za-z0-9_-]+$", description="The key there, of an AEAD type."
    )
    vault_token: Password | None = Field(
        default=None, description="May encrypt and decrypt with that key; an agent needs none."
    )
    folder_keys: HexKeys | None = Field(
        default=None,
        description="Name people's folders in the bucket, the newest first, with commas; a key is in use an "
        "hour after it was first seen, and stays here as long as anything lies under it.",
    )
    subject_slots: bool = Field(
        default=False,
        description="Whether new photos are sealed in the format with room for several data subjects, which "
        "processes of earlier releases take for lost bytes.",
    )
    link_key: HexKey = Field(description="Signs the links that read a photo.")

    upload_limit_bytes: int = Field(default=25_000_000, ge=1, description="Largest accepted upload.")
    upload_link_seconds: int = Field(
        default=300, ge=1, le=300, description="How long an upload link is good."
    )
    resumable_upload_seconds: int = Field(
        default=86_400,
        ge=1,
        le=604_800,
        description="How long an upload that arrives in pieces may take, breaks included.",
    )
    upload_memory_bytes: int = Field(
        default=128 * 1024 * 1024, ge=1024 * 1024, description="Uploads held in memory, per process."
    )
    uploads_per_person: int = Field(
        default=2, ge=1, description="Uploads of one person at once; further ones wait."
    )
    quota_photos: int = Field(default=5_000, ge=1, description="Photos that one person may have.")
    quota_bytes: int = Field(
        default=50_000_000_000, ge=1, description="Bytes of photos, as received, that one person may have."
    )
    quota_uploads_per_day: int = Field(
        default=500, ge=1, description="Uploads that one person may begin on one day (UTC)."
    )
    read_log_days: int = Field(
        default=365, ge=1, description="How long it is kept who was given the bytes of a photo."
    )
    withdrawal_grace: int = Field(
        default=0,
        ge=0,
        le=720,
        description="Hours in which photos of a withdrawn consent wait, closed, for it to be given anew.",
    )
    confirm_hours: int = Field(default=24, ge=1, description="A photo not confirmed by then is destroyed.")
    link_seconds: int = Field(default=300, ge=1, le=3600, description="How long a reading link is good.")
    pixel_limit: int = Field(default=52_000_000, ge=1, description="Most pixels of an accepted photo.")
    read_memory_bytes: int = Field(
        default=96 * 1024 * 1024, ge=1024 * 1024, description="Photos opened in memory, per process."
    )
    reads_per_person: int = Field(
        default=4, ge=1, description="Photos of one person that are read at once; further ones wait."
    )
    proved_address_for_biometrics: bool = Field(
        default=False, description="Whether only people who have proved their address may upload."
    )
    sandbox_processes: int = Field(
        default=2, ge=1, le=8, description="Pictures decoded at once, per process."
    )
    sandbox_memory_bytes: int = Field(
        default=896 * MEBIBYTE, ge=64 * MEBIBYTE, description="What decoding one picture may take."
    )
    api_memory_bytes: int = Field(
        default=640 * MEBIBYTE, ge=128 * MEBIBYTE, description="What the API takes beside its sandbox."
    )
    memory_bytes: int = Field(
        default=2816 * MEBIBYTE, description="The memory of the API's container, sandbox included."
    )

    expire_poll_seconds: float = Field(default=30.0, gt=0, description="Pause between sweeps of old uploads.")
    reconcile_bucket_hours: int = Field(
        default=24, ge=1, description="Pause between comparisons of the bucket with the photos."
    )
    final_sweep_hours: int = Field(
        default=24, ge=1, description="When an erased person's folder is looked at for the last time."
    )
    exports_per_day: int = Field(
        default=5, ge=1, description="Copies of their data that a person may ask for within 24 hours."
    )
    export_hours: int = Field(
        default=72, ge=1, description="How long a copy that is ready can be fetched before it is destroyed."
    )
    export_patience_days: int = Field(
        default=30, ge=1, description="After so long without all of its sections an export has failed."
    )
    export_reminder_seconds: float = Field(
        default=60.0, gt=0, description="Pause before a silent contributor is asked for its section again."
    )
    export_section_bytes: int = Field(
        default=256 * MEBIBYTE, ge=MEBIBYTE, description="Largest section that a contributor may write."
    )

    @model_validator(mode="after")
    def _provider_is_configured(self) -> Self:
        needed = {
            "file": ("key_encryption_keys", self.key_encryption_keys),
            "aws-kms": ("aws_kms_key", self.aws_kms_key),
            "vault-transit": ("vault_url", self.vault_url),
        }
        name, value = needed[self.key_provider]
        if value is None:
            raise ValueError(f"{name}: is needed where KEY_PROVIDER is {self.key_provider}")
        return self

    @field_validator("vault_url", "aws_kms_endpoint_url")
    @classmethod
    def _keys_travel_encrypted(cls, value: str | None, info: ValidationInfo) -> str | None:
        parts = urlsplit(value or "")
        if value and in_production(info) and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise ValueError("must begin with https:// in production, unless it is an agent on this machine")
        return value

    @model_validator(mode="after")
    def _memory_adds_up(self) -> Self:
        pictures = self.upload_memory_bytes + self.read_memory_bytes
        if pictures + PROCESS_BYTES > self.api_memory_bytes:
            raise ValueError(
                f"UPLOAD_MEMORY_BYTES and READ_MEMORY_BYTES, with {PROCESS_BYTES} more for the process, "
                f"are more than API_MEMORY_BYTES ({self.api_memory_bytes})"
            )
        taken = self.api_memory_bytes + self.sandbox_processes * (
            self.sandbox_memory_bytes + SANDBOX_OVERHEAD_BYTES
        )
        if taken > self.memory_bytes:
            raise ValueError(
                f"API_MEMORY_BYTES, and SANDBOX_MEMORY_BYTES with {SANDBOX_OVERHEAD_BYTES} more for each of "
                f"SANDBOX_PROCESSES, make {taken} bytes: MEMORY_BYTES is only {self.memory_bytes}"
            )
        largest = bytes_needed("image/jpeg", Frame(self.pixel_limit, 1, 3), self.upload_limit_bytes)
        if largest > self.sandbox_memory_bytes:
            raise ValueError(
                f"a JPEG of PIXEL_LIMIT and UPLOAD_LIMIT_BYTES takes {largest} bytes to decode, more than "
                f"SANDBOX_MEMORY_BYTES ({self.sandbox_memory_bytes})"
            )
        return self
