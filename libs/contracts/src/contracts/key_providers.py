"""What the deletion of a data key means, by what holds the keys that wrap data keys.

A participant that keeps sealed data says in its report which providers it has; whoever certifies an erasure
finds here, in words, what is destroyed then and what can still be opened.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FILE: Final = "file"
AWS_KMS: Final = "aws-kms"
VAULT_TRANSIT: Final = "vault-transit"


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What an erasure does to the data keys of a provider, and who can open what until when."""

    provider: str
    erasure: str
    readable: str


_DELETED = "The person's data key, if there was one, was deleted from the keyring, and none is made again."
_TERMS: Final = {
    terms.provider: terms
    for terms in (
        KeyTerms(
            FILE,
            f"{_DELETED} The key that wrapped it stays in use, in the settings of the service.",
            "A copy of the wrapped key in a backup of the keyring can be opened, by whoever has that backup "
            "and those settings, until the backup is deleted.",
        ),
        KeyTerms(
            AWS_KMS,
            f"{_DELETED} The key that wrapped it stays in use, in AWS KMS, which it never leaves.",
            "A copy of the wrapped key in a backup of the keyring can be opened, by whoever has that backup "
            "and may ask KMS to decrypt, until the backup is deleted; KMS notes each time that it was asked, "
            "with the keyed hash of the person.",
        ),
        KeyTerms(
            VAULT_TRANSIT,
            f"{_DELETED} The key that wrapped it stays in use, in the transit engine of Vault, which it "
            "never leaves.",
            "A copy of the wrapped key in a backup of the keyring can be opened, by whoever has that backup "
            "and may ask Vault to decrypt, until the backup is deleted, or the version of the key that "
            "wrapped it is not accepted any more.",
        ),
    )
}


def key_terms(providers: Iterable[str]) -> list[KeyTerms]:
    """Return the terms of each provider, once, in the order in which they are named.

    Earlier releases named none: their keys were in a file.
    """
    return [_TERMS.get(provider) or _unknown(provider) for provider in dict.fromkeys(providers) or [FILE]]


def _unknown(provider: str) -> KeyTerms:
    return KeyTerms(provider, _DELETED, "Nothing more is known here of this provider.")
