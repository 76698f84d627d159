"""The hash of passwords with identity's parameters, and nothing around it."""

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from identity.settings import IdentitySettings


def scheme(settings: IdentitySettings) -> PasswordHash:
    """Return argon2id with the parameters of the settings."""
    return PasswordHash(
        (
            Argon2Hasher(
                time_cost=settings.argon2_iterations,
                memory_cost=settings.argon2_memory_kib,
                parallelism=settings.argon2_parallelism,
            ),
        )
    )
