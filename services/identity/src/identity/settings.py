"""Identity's settings, prefix IDENTITY_."""

import os
from datetime import timedelta
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import HexKey, PemKey, ServerUrl
from identity.erasure.settings import ErasureSettings
from identity.mail.settings import MailSettings
from identity.passkeys.settings import PasskeySettings
from identity.providers.settings import ProviderSettings

MOST_HASHING_THREADS = 3
"""What one process can keep busy: a sign-in costs its event loop a third of a hash (`make bench`)."""


def hashing_threads() -> int:
    """Return how many threads shall hash: one core stays free for everybody who is signed in already."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable - 1, MOST_HASHING_THREADS))


class IdentitySettings(MailSettings, ErasureSettings, PasskeySettings, ProviderSettings):
    """What identity needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="IDENTITY_")

    port: int = Field(default=18101, description="Port of the API.")
    worker_port: int = Field(default=18111, description="Port on which the worker tells its health.")

    signing_key: PemKey = Field(description="EC P-256 private key that signs access tokens.")
    refresh_token_key: HexKey = Field(description="Keys the derivation of refresh tokens.")

    access_token_minutes: int = Field(default=30, ge=1, le=60, description="Lifetime of an access token.")
    refresh_idle_days: int = Field(default=30, ge=1, description="How long an unused session lives.")
    refresh_absolute_days: int = Field(default=90, ge=1, description="How long any session lives.")
    refresh_repeat_hours: int = Field(
        default=24,
        ge=0,
        description="How long a replaced refresh token yields its successor again while that is unused.",
    )

    sessions_per_account: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Live sessions of an account; when one more begins the oldest ends.",
    )

    argon2_memory_kib: int = Field(default=19456, ge=19456, description="Memory of one hash, in KiB.")
    argon2_iterations: int = Field(default=2, ge=2, description="Passes over that memory.")
    argon2_parallelism: int = Field(default=1, ge=1, description="Lanes of one hash.")
    argon2_threads: int = Field(
        default_factory=hashing_threads,
        ge=1,
        description="Hashes computed at the same time, per process; by default one core is left to the rest.",
    )
    argon2_wait_seconds: float = Field(
        default=12.0,
        gt=0,
        description="Seconds from a sign-in to its hash before it gets a 503; less than the gateway waits.",
    )

    password_min_length: int = Field(default=8, ge=8, le=64, description="Shortest password, in characters.")

    redis_url: ServerUrl = Field(description="Where tries per account are counted.")
    storage_url: str = Field(
        default="http://127.0.0.1:18103", description="Where storage takes sections of data exports."
    )
    registration_disclosure: Literal["tell", "conceal"] = Field(
        default="tell",
        description="Whether registering says that an address is taken, or mails its owner.",
    )

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long an access token is good for."""
        return timedelta(minutes=self.access_token_minutes)
