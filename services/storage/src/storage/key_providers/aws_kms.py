"""Key-encryption keys in AWS KMS, which never leave it; a data key travels there to be wrapped and unwrapped.

The owner's keyed hash is the encryption context: KMS opens a key for nobody else, and writes it into its log.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from chassis.object_store_faults import code_of, status_of
from chassis.transactions import outside_transactions
from storage.sealing import (
    KeyOwner,
    KeyServiceRefused,
    KeyServiceUnavailable,
    UnknownKeyEncryptionKey,
    UnwrapFailed,
    WrappedKey,
)

PREFIX: Final = "aws-kms:"
TRIES: Final = 3
_SERVER_ERROR: Final = 500
_PASSING: Final = frozenset(
    [
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
    ]
)
_CHANGED: Final = frozenset(["InvalidCiphertextException", "IncorrectKeyException"])
_UNKNOWN: Final = frozenset(["NotFoundException"])


@dataclass(frozen=True, slots=True)
class KmsSettings:
    """Which key wraps, where KMS is, and how long a call may take, its retries included.

    `key` is an id, an ARN or an alias. Without an access key the usual chain of AWS gives one.
    """

    key: str
    region: str
    seconds: float
    endpoint_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


@asynccontextmanager
async def open_kms(settings: KmsSettings) -> AsyncIterator["KmsKeyEncryption"]:
    """Open the one KMS client of a process; it connects at its first call."""
    async with aioboto3.Session().client(
        "kms",
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=AioConfig(
            connect_timeout=settings.seconds / 2,
            read_timeout=settings.seconds,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
        ),
    ) as client:
        yield KmsKeyEncryption(client, settings)


class KmsKeyEncryption:
    """KeyEncryption by AWS KMS (API 2014-11-01, Encrypt and Decrypt of a symmetric key)."""

    def __init__(self, client: Any, settings: KmsSettings) -> None:
        self._client = client
        self._settings = settings

    async def wrap(self, data_key: bytes, *, owner: KeyOwner) -> WrappedKey:
        """Let KMS encrypt a data key; the key is named by its ARN, whatever alias leads to it."""
        answer = await self._call(
            "encrypt", KeyId=self._settings.key, Plaintext=data_key, EncryptionContext=_context(owner)
        )
        return WrappedKey(PREFIX + str(answer["KeyId"]), bytes(answer["CiphertextBlob"]))

    async def unwrap(self, wrapped: WrappedKey, *, owner: KeyOwner) -> bytes:
        """Let KMS decrypt a data key under the key that it names, and no other one."""
        answer = await self._call(
            "decrypt",
            KeyId=wrapped.key_id.removeprefix(PREFIX),
            CiphertextBlob=wrapped.blob,
            EncryptionContext=_context(owner),
        )
        return bytes(answer["Plaintext"])

    async def _call(self, operation: str, **parameters: Any) -> Any:
        outside_transactions("the key service")
        with _translated():
            async with asyncio.timeout(self._settings.seconds):
                return await getattr(self._client, operation)(**parameters)


def _context(owner: KeyOwner) -> dict[str, str]:
    return {"purpose": "irisvue/data-key", "owner": owner.pseudonym}


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the client library's errors into storage's, without its messages."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in _PASSING or status_of(error) >= _SERVER_ERROR:
            raise KeyServiceUnavailable(f"AWS KMS failed for now ({code}).") from error
        if code in _CHANGED:
            raise UnwrapFailed(f"AWS KMS does not open the wrapped data key ({code}).") from error
        if code in _UNKNOWN:
            raise UnknownKeyEncryptionKey(f"AWS KMS does not have the key ({code}).") from error
        raise KeyServiceRefused(f"AWS KMS refused the call ({code}).") from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise KeyServiceUnavailable(f"AWS KMS can't be reached ({type(error).__name__}).") from error
