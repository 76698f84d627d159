"""What the tests with faults and floods share."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from identity.settings import IdentitySettings

PASSWORD = "seven blue irises"


@pytest.fixture
def password_hash(platform) -> str:
    """Return the hash of one password with identity's own parameters."""
    with platform.variables_of("identity"):
        settings = IdentitySettings()
    hasher = Argon2Hasher(
        time_cost=settings.argon2_iterations,
        memory_cost=settings.argon2_memory_kib,
        parallelism=settings.argon2_parallelism,
    )
    return PasswordHash((hasher,)).hash(PASSWORD)
