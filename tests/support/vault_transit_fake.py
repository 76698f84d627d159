"""A fake of Vault's transit engine that speaks its HTTP API and really encrypts (AES-256-GCM).

After https://developer.hashicorp.com/vault/api-docs/secret/transit: encrypt and decrypt with associated data,
versions of a key, rotation, a least version that still decrypts, tokens, and a seal.
"""

import base64
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


@dataclass
class VaultTransitFake:
    """One key of one mount; `sealed` and `failures` make it answer as a Vault that is out of order does."""

    mount: str = "transit"
    key: str = "irisvue"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    url: str = ""
    sealed: bool = False
    failures: int = 0
    calls: int = 0
    least_version: int = 1
    seen: list[dict[str, Any]] = field(default_factory=list)
    _versions: list[AESGCM] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        """Make a new version, which encrypts from now on."""
        self._versions.append(AESGCM(os.urandom(32)))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer on a free port for the length of the block."""
        app = web.Application()
        app.router.add_post(f"/v1/{self.mount}/{{operation}}/{{name}}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if self.failures > 0:
            self.failures -= 1
            return _errors(500, "internal error")
        if request.headers.get("X-Vault-Token") != self.token:
            return _errors(403, "permission denied")
        asked = json.loads(await request.read())
        self.seen.append(asked)
        if request.match_info["name"] != self.key:
            return _errors(404, "no handler for route")
        operation = {"encrypt": self._encrypt, "decrypt": self._decrypt}.get(request.match_info["operation"])
        if operation is None:
            return _errors(404, "no handler for route")
        return operation(asked)

    def _encrypt(self, asked: dict[str, str]) -> web.Response:
        nonce, version = os.urandom(NONCE_BYTES), len(self._versions)
        plain, bound = base64.b64decode(asked["plaintext"]), base64.b64decode(asked["associated_data"])
        sealed = nonce + self._versions[-1].encrypt(nonce, plain, bound)
        text = f"vault:v{version}:{base64.b64encode(sealed).decode()}"
        return web.json_response({"data": {"ciphertext": text, "key_version": version}})

    def _decrypt(self, asked: dict[str, str]) -> web.Response:
        try:
            kind, name, text = asked["ciphertext"].split(":")
            version, sealed = int(name.removeprefix("v")), base64.b64decode(text, validate=True)
            if kind != "vault":
                return _errors(400, "invalid ciphertext: no prefix")
            if version < self.least_version:
                return _errors(400, "ciphertext or signature version is disallowed by policy (too old)")
            bound = base64.b64decode(asked["associated_data"])
            plain = self._versions[version - 1].decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
        except (ValueError, IndexError, InvalidTag):
            return _errors(400, "cipher: message authentication failed")
        return web.json_response({"data": {"plaintext": base64.b64encode(plain).decode()}})


def _errors(status: int, said: str) -> web.Response:
    return web.json_response({"errors": [said]}, status=status)
