"""Access tokens: what they must look like and who they speak for (RFC 9068, RFC 8725)."""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import jwt
import structlog
from jwt import PyJWK, PyJWTError
from jwt.utils import base64url_decode

from chassis.problems import InvalidToken, ServiceUnavailable, describe

ALGORITHM = "ES256"
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type
LEEWAY_SECONDS = 30
JWKS_MAX_AGE_SECONDS = 300.0
JWKS_COOLDOWN_SECONDS = 5.0
STALE_PATIENCE_SECONDS = 0.2
"""How long a caller whose key is known, but old, waits for the answer of the issuer."""
MAX_TOKEN_LENGTH = 4096
MOST_REMEMBERED = 10_000
"""Access tokens that need not be verified again until they expire; about 10 MB of memory."""
_REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time"]

# What reading a token that somebody made up may raise, down to a time that no calendar holds.
MALFORMED = (PyJWTError, ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError)

log = structlog.get_logger(__name__)

FetchKeys = Callable[[], Awaitable[dict[str, Any]]]
T = TypeVar("T")


@dataclass(frozen=True)
class Principal:
    """The person and the session that an access token speaks for.

    `generation` is how often the session's pair of tokens had been renewed, None in a token that doesn't say.
    """

    user_id: UUID
    session_id: UUID
    token_id: str
    issued_at: datetime
    authenticated_at: datetime
    expires_at: datetime
    email_verified: bool = False
    generation: int | None = None


class KeySet:
    """The issuer's public keys by `kid`; fetched again when old or unknown, at a bounded rate.

    However many ask, one question is under way. A key that is known serves on while it is not answered, and
    after an answer, or after its end without one, nobody asks again for a while.
    """

    def __init__(self, fetch: FetchKeys) -> None:
        self._fetch = fetch
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._ask_again_at = float("-inf")
        self._question: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> PyJWK | None:
        """Return the key named `kid`; raises `ServiceUnavailable` when no key was ever obtained."""
        known = kid in self._keys
        if known and time.monotonic() - self._fetched_at < JWKS_MAX_AGE_SECONDS:
            return self._keys[kid]
        question = self._asked()
        if question is not None:
            await asyncio.wait([question], timeout=STALE_PATIENCE_SECONDS if known else None)
        if not self._keys:
            raise ServiceUnavailable
        return self._keys.get(kid)

    def _asked(self) -> "asyncio.Task[None] | None":
        if self._question is not None and not self._question.done():
            return self._question
        if time.monotonic() < self._ask_again_at:
            return None
        self._question = asyncio.create_task(self._refresh(), name="fetch-signing-keys")
        return self._question

    async def _refresh(self) -> None:
        try:
            keys = _usable_keys(await self._fetch())
        except Exception as error:  # noqa: BLE001 - whatever the issuer answers, our callers are not to blame
            # Without keys the next caller may try at once; with keys the old ones serve meanwhile.
            self._ask_again_at = time.monotonic() + (JWKS_COOLDOWN_SECONDS if self._keys else 0)
            log.warning("signing_keys_not_fetched", error=describe(error))
            return
        self._fetched_at = time.monotonic()
        self._ask_again_at = self._fetched_at + JWKS_COOLDOWN_SECONDS
        self._keys = keys


def _usable_keys(document: dict[str, Any]) -> dict[str, PyJWK]:
    keys = {
        key["kid"]: PyJWK(key, algorithm=ALGORITHM)
        for key in document["keys"]
        if key.get("kty") == "EC" and key.get("crv") == "P-256" and "kid" in key
    }
    if not keys:
        raise ValueError("the issuer publishes no key that we can use")
    return keys


class VerifiedTokens(Generic[T]):
    """Remembers what verified tokens say, by their digest, until they expire; the least used go first.

    A signature costs more than everything else about a request, and a token is sent with many of them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, token: str) -> T | None:
        """Return what was said by `token`, letter for letter, or None when that is not known or over."""
        digest = _digest(token)
        said, until = self._known.get(digest, (None, 0.0))
        if said is None or time.time() >= until:
            return None
        self._known.move_to_end(digest)
        return said

    def keep(self, token: str, said: T, *, until: float) -> None:
        """Remember what a token says that was verified just now; `until` is in seconds of Unix time."""
        self._known[_digest(token)] = said, until
        while len(self._known) > self._most:
            self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    # What is no letter of a token becomes a question mark, which is none either.
    return hashlib.sha256(token.encode("ascii", "replace")).digest()


class AccessTokens:
    """Verifies access tokens locally, each once; nobody but the issuer can sign them."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._verified: VerifiedTokens[tuple[Principal, str, PyJWK]] = VerifiedTokens(MOST_REMEMBERED)

    async def verify(self, token: str) -> Principal:
        """Return whom `token` speaks for; raises `InvalidToken`, saying nothing about why."""
        known = self._verified.find(token)
        if known is not None:
            principal, kid, signed_with = known
            # A key that its issuer has taken back, or replaced, proves nothing any more.
            if await self._keys.find(kid) is signed_with:
                return principal
        return await self._read(token)

    async def _read(self, token: str) -> Principal:
        try:
            header = read_header(token, token_type=ACCESS_TOKEN_TYPE)
        except MALFORMED:
            raise InvalidToken from None
        key = await self._keys.find(header["kid"])
        if key is None:
            raise InvalidToken
        try:
            claims = read_claims(
                token, key, audience=self._audience, issuer=self._issuer, required=_REQUIRED_CLAIMS
            )
            principal = _principal(claims)
        except MALFORMED:
            raise InvalidToken from None
        until = int(claims["exp"]) + LEEWAY_SECONDS
        self._verified.keep(token, (principal, header["kid"], key), until=until)
        return principal


def read_header(token: str, *, token_type: str) -> dict[str, Any]:
    """Return the header of a signed token; raises ValueError for anything but our own kind.

    `kid` is only ever a name to look up; headers that point to keys or add rules (`jku`, `jwk`, `x5u`,
    `crit`, `b64`) make the token unacceptable (RFC 8725 §3.10).
    """
    if len(token) > MAX_TOKEN_LENGTH or "=" in token:
        raise ValueError("token too long, or padded")
    header = jwt.get_unverified_header(token)
    allowed = {"alg", "typ", "kid"}
    if set(header) != allowed or header["alg"] != ALGORITHM or header["typ"] != token_type:
        raise ValueError("not a token of ours")
    if not isinstance(header["kid"], str):
        raise ValueError("kid must be a string")  # noqa: TRY004 - the caller treats every malformed token alike
    return header


def read_claims(
    token: str, key: PyJWK, *, audience: str, issuer: str, required: Sequence[str]
) -> dict[str, Any]:
    """Return the claims of a token that `key` signed; raises one of `MALFORMED`."""
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=issuer,
        leeway=LEEWAY_SECONDS,
        options={"require": list(required)},
    )
    # Of a name that is given twice, readers believe different ones (RFC 7519 §4).
    for segment in token.split(".")[:2]:
        json.loads(base64url_decode(segment), object_pairs_hook=_without_repetition)
    return claims


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name is given twice")
    return named


def _principal(claims: dict[str, Any]) -> Principal:
    generation = claims.get("gen")
    return Principal(
        user_id=UUID(claims["sub"]),
        session_id=UUID(claims["sid"]),
        token_id=str(claims["jti"]),
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        authenticated_at=datetime.fromtimestamp(claims["auth_time"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        email_verified=claims.get("email_verified") is True,
        generation=generation if type(generation) is int else None,
    )
