"""Key-encryption keys in the transit engine of Vault, or of OpenBao, which never leave it.

The owner's keyed hash is associated data of the ciphertext: Vault opens a key for nobody else.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from chassis.http import read_at_most
from chassis.leases import backoff
from chassis.sealing import joined
from chassis.transactions import outside_transactions
from storage.sealing import (
    KeyOwner,
    KeyServiceRefused,
    KeyServiceUnavailable,
    UnknownKeyEncryptionKey,
    UnwrapFailed,
    WrappedKey,
)

PREFIX: Final = "vault-transit:"
TRIES: Final = 3
PAUSES: Final = (0.05, 0.2)
_MOST_BYTES: Final = 65_536
_PARTS_BEHIND: Final = 2
# What names a key stands in a path, and comes from the keyring.
_NAMED: Final = re.compile(rf"{PREFIX}([\w/-]+)/([\w-]+):v\d+", re.ASCII)
_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404
# Sealed, a standby, one that is starting, and one that is asked too often.
_PASSING: Final = frozenset([412, 429, 472, 473])
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Where Vault is, which key of which mount wraps, and how long a call may take, its retries included.

    Without a token an agent of Vault between us and it adds one.
    """

    url: str
    mount: str
    key: str
    seconds: float
    token: str | None = None


@asynccontextmanager
async def open_vault(settings: VaultSettings) -> AsyncIterator["VaultKeyEncryption"]:
    """Open the one HTTP session of a process; it connects at its first call."""
    headers = {"X-Vault-Request": "true"}
    if settings.token is not None:
        headers["X-Vault-Token"] = settings.token
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield VaultKeyEncryption(http, settings)


class VaultKeyEncryption:
    """KeyEncryption by a transit key of an AEAD type (Vault's HTTP API, /transit/encrypt and /decrypt)."""

    def __init__(self, http: aiohttp.ClientSession, settings: VaultSettings) -> None:
        self._http = http
        self._settings = settings

    async def wrap(self, data_key: bytes, *, owner: KeyOwner) -> WrappedKey:
        """Let Vault encrypt a data key under the newest version of the key, which the name tells."""
        settings = self._settings
        answer = await self._call("encrypt", owner, settings.mount, settings.key, plaintext=_text(data_key))
        ciphertext = str(answer.get("ciphertext", ""))
        kind, *rest = ciphertext.split(":")
        if kind != "vault" or len(rest) < _PARTS_BEHIND:
            raise KeyServiceRefused("Vault answered something that is no ciphertext of the transit engine.")
        return WrappedKey(f"{PREFIX}{settings.mount}/{settings.key}:{rest[0]}", ciphertext.encode())

    async def unwrap(self, wrapped: WrappedKey, *, owner: KeyOwner) -> bytes:
        """Let Vault decrypt a data key."""
        named = _NAMED.fullmatch(wrapped.key_id)
        if named is None:
            raise UnknownKeyEncryptionKey("The data key names no key of a transit engine.")
        answer = await self._call(
            "decrypt", owner, *named.groups(), ciphertext=wrapped.blob.decode("ascii", "replace")
        )
        try:
            return base64.b64decode(str(answer["plaintext"]), validate=True)
        except (KeyError, ValueError):
            raise KeyServiceRefused("Vault answered something that is no plaintext.") from None

    async def _call(
        self, operation: str, owner: KeyOwner, mount: str, key: str, **body: str
    ) -> dict[str, Any]:
        """Ask Vault, again when it fails for now, all within the time that a call may take."""
        outside_transactions("the key service")
        path = f"{mount}/{operation}/{key}"
        asked = {**body, "associated_data": _text(joined(b"irisvue/data-key/2", owner.pseudonym))}
        try:
            async with asyncio.timeout(self._settings.seconds):
                for attempt in range(1, TRIES):
                    try:
                        return await self._ask(path, asked)
                    except KeyServiceUnavailable:
                        await asyncio.sleep(backoff(attempt, shortest=PAUSES[0], longest=PAUSES[1]))
                return await self._ask(path, asked)
        except TimeoutError as error:
            raise KeyServiceUnavailable("Vault did not answer in time.") from error

    async def _ask(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self._settings.url.rstrip('/')}/v1/{path}"
        try:
            async with self._http.post(url, json=asked, allow_redirects=False) as answer:
                status, read = answer.status, await read_at_most(answer, _MOST_BYTES)
        except (aiohttp.ClientError, OSError) as error:
            raise KeyServiceUnavailable(f"Vault can't be reached ({type(error).__name__}).") from error
        if status != _OK:
            raise _refusal(status, decrypting="ciphertext" in asked)
        return _data_of(read or b"")


def _data_of(answer: bytes) -> dict[str, Any]:
    try:
        data = json.loads(answer)["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        # Not chained: the parser's error holds the whole answer.
        raise KeyServiceUnavailable("Vault answered something that is none of its answers.") from None
    if not isinstance(data, dict):
        raise KeyServiceUnavailable("Vault answered something that is none of its answers.")
    return data


def _refusal(status: int, *, decrypting: bool) -> Exception:
    """Return what an answer means; its words are not repeated, because they may quote the request."""
    if status >= _SERVER_ERROR or status in _PASSING:
        return KeyServiceUnavailable(f"Vault failed for now ({status}).")
    if status == _BAD_REQUEST and decrypting:
        return UnwrapFailed("Vault does not open the wrapped data key (400).")
    if status == _NOT_FOUND:
        return UnknownKeyEncryptionKey(
            "Vault does not have the key, or no transit engine at that mount (404)."
        )
    return KeyServiceRefused(f"Vault refused the call ({status}).")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
