"""Processors outside of the platform: a signed request to erase, and the report that must come back.

The request is signed with the key that signs access tokens then (HTTP Message Signatures, RFC 9421), so that
whoever has the published keys knows that it is ours and unchanged.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import der_to_raw_signature
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from chassis.faults import TransientFault
from chassis.http import read_at_most
from chassis.signing_keys import SigningKey
from chassis.transactions import outside_transactions
from contracts.fields import ErasedCounts, HeldCounts, ServiceName
from contracts.registry import MEMBERS

SECONDS = 10.0
MOST_BYTES = 64 * 1024
COVERED = ("@method", "@target-uri", "content-type", "content-digest")
_JSON = "application/json"
_OF_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_OK, _ACCEPTED = 200, 202


class ProcessorNotDone(TransientFault):
    """The processor has not said that it has erased the person; it is asked again."""


def _own_name(name: str) -> str:
    if name in MEMBERS:
        raise ValueError("is the name of a service of the platform")
    return name


def _reachable(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError("is no address of a processor")
    if parts.scheme == "http" and parts.hostname not in _OF_THIS_MACHINE:
        # A request names a person: on its way nobody else may read it.
        raise ValueError("is no https address of a processor")
    return url


class Processor(BaseModel):
    """Somebody who holds data of people for us: a name for reports, and where it takes requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[ServiceName, AfterValidator(_own_name)]
    url: Annotated[str, AfterValidator(_reachable)]


class ProcessorReport(BaseModel):
    """What a processor has erased, and what the holds that it was told of keep there."""

    erased: ErasedCounts
    held: HeldCounts = Field(default_factory=dict)


class HeldThing(NamedTuple):
    """What must not be erased yet, wherever it is: a processor may have a copy, or what belongs to it."""

    hold_id: UUID
    service: str
    kind: str
    record: UUID | None
    code: str
    expires_at: datetime

    def document(self) -> dict[str, str | None]:
        """Return it as JSON has it."""
        return {
            "hold_id": str(self.hold_id),
            "service": self.service,
            "kind": self.kind,
            "record": None if self.record is None else str(self.record),
            "code": self.code,
            "expires_at": self.expires_at.isoformat(),
        }


@dataclass(frozen=True)
class RequestToErase:
    """What a processor is told: which erasure, of whom, since when and until when, and what is held."""

    erasure_id: UUID
    user_id: UUID
    requested_at: datetime
    deadline: datetime
    holds: tuple[HeldThing, ...] = ()

    def body(self) -> bytes:
        """Return it as JSON; to the letter the same, however often it is sent while the same is held."""
        told = {
            "erasure_id": str(self.erasure_id),
            "user_id": str(self.user_id),
            "requested_at": self.requested_at.isoformat(),
            "deadline": self.deadline.isoformat(),
            "holds": [hold.document() for hold in self.holds],
        }
        return json.dumps(told, separators=(",", ":")).encode()


def signed_headers(url: str, body: bytes, *, key: SigningKey, now: datetime, nonce: str) -> dict[str, str]:
    """Return the headers of a POST of JSON, with its digest (RFC 9530) and its signature (RFC 9421 §3.1)."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    content = {"content-type": _JSON, "content-digest": f"sha-256=:{digest}:"}
    values = {"@method": "POST", "@target-uri": url, **content}
    covered = " ".join(f'"{name}"' for name in COVERED)
    parameters = (
        f'({covered});created={int(now.timestamp())};keyid="{key.kid}";alg="ecdsa-p256-sha256"'
        f';nonce="{nonce}";tag="irisvue-erasure"'
    )
    lines = [f'"{name}": {values[name]}' for name in COVERED]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    raw = der_to_raw_signature(key.private_key.sign(base.encode(), ECDSA(SHA256())), key.private_key.curve)
    return {
        **content,
        "signature-input": f"erasure={parameters}",
        "signature": f"erasure=:{base64.b64encode(raw).decode()}:",
    }


class ProcessorClient:
    """Sends requests to processors; open it once per process with `async with`."""

    def __init__(self, processors: Sequence[Processor], *, signing: Callable[[datetime], SigningKey]) -> None:
        """`signing` returns the key that signs at a moment."""
        self._processors = {processor.name: processor for processor in processors}
        self._signing = signing
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, name: str, request: RequestToErase, *, now: datetime, nonce: str) -> ProcessorReport:
        """Return what the processor says that it has erased; raises `ProcessorNotDone` until it says so.

        Only where something is held may it keep something.
        """
        if self._session is None:
            raise RuntimeError("open the client with `async with` before use")
        processor = self._processors.get(name)
        if processor is None:
            raise ProcessorNotDone("is not among the settings any more")
        outside_transactions(name)
        url, body = processor.url, request.body()
        headers = signed_headers(url, body, key=self._signing(now), now=now, nonce=nonce)
        try:
            async with self._session.post(
                URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as answer:
                report = _report(answer.status, await read_at_most(answer, MOST_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProcessorNotDone(f"did not answer: {type(error).__name__}") from error
        if any(report.held.values()) and not request.holds:
            raise ProcessorNotDone("keeps something that nothing holds")
        return report


def _report(status: int, body: bytes | None) -> ProcessorReport:
    if status == _ACCEPTED:
        raise ProcessorNotDone("has accepted it and not reported yet")
    if status != _OK:
        raise ProcessorNotDone(f"answered {status}")
    try:
        return ProcessorReport.model_validate_json(body or b"")
    except ValidationError:
        # Not chained: the library's error quotes the answer.
        raise ProcessorNotDone("answered 200 without a report") from None


def read_processors(value: Any) -> Any:
    """Return the list in a JSON text, as a setting has it; empty is none."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else []
    except ValueError:
        raise ValueError("this is no JSON") from None
