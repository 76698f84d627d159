"""The body of a request on its way through: counted, never collected."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.types import Receive, Scope

from chassis.problems import ContentTooLarge, Problem
from chassis.transfer_rate import TooSlow, TransferRate
from gateway.headers import header
from gateway.problems import BadRequest, RequestTimeout, UnsupportedEncoding


class ClientGone(Exception):
    """The client closed the connection before its answer was complete."""


class RequestBody:
    """Hands on the chunks of one request's body and knows how it ended."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        *,
        limit: int,
        too_large: Callable[[int], Problem] = ContentTooLarge,
    ) -> None:
        """Refuse at once, with `too_large`, what declares more than `limit` bytes.

        Raises `BadRequest` for a part of a body, and `UnsupportedEncoding` for a compressed one.
        """
        self._receive = receive
        self._limit = limit
        self._too_large = too_large
        _check_representation(scope)
        self.declared = _declared_length(scope)
        self.expected = self.declared != 0
        self.expects = self.expected and header(scope["headers"], b"expect") is not None
        """Whether the client waits to be asked for the body, so that a refusal costs it nothing."""
        self.failure: Problem | ClientGone | None = None
        self._complete = asyncio.Event()
        if self.declared is not None and self.declared > limit:
            raise too_large(limit)
        if not self.expected:
            self._complete.set()

    @property
    def complete(self) -> bool:
        """Whether everything has arrived."""
        return self._complete.is_set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, and not below the least speed; the reader's pace is the client's."""
        received, rate = 0, TransferRate()
        while not self.complete:
            try:
                async with rate.waiting():
                    message = await self._receive()
            except TooSlow:
                self.failure = RequestTimeout()
                raise self.failure from None
            if message["type"] == "http.disconnect":
                self.failure = ClientGone()
                raise self.failure
            chunk = message.get("body", b"")
            received += len(chunk)
            rate.count(moved=len(chunk))
            if received > self._limit:
                self.failure = self._too_large(self._limit)
                raise self.failure
            if not message.get("more_body", False):
                self._complete.set()
            if chunk:
                yield chunk

    async def client_gone(self) -> None:
        """Return when the client closes the connection after its request was complete."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            # The end of an empty body arrives as a message of its own.
            continue


def _check_representation(scope: Scope) -> None:
    headers = scope["headers"]
    if header(headers, b"content-range") is not None:
        # Who stores a part as the whole loses the rest (RFC 9110 §14.5).
        raise BadRequest("The body is a part of something. Send all of it, without Content-Range.")
    if (header(headers, b"content-encoding") or "identity").strip().lower() != "identity":
        raise UnsupportedEncoding


def _declared_length(scope: Scope) -> int | None:
    """Return Content-Length; 0 without any body, None for a chunked one."""
    headers = scope["headers"]
    if header(headers, b"transfer-encoding") is not None:
        return None
    length = header(headers, b"content-length")
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise BadRequest
    return int(length)
