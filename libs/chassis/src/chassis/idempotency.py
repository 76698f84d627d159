"""`Idempotency-Key`: a request that is repeated with the same key acts once and gets the same answer.

The answer commits in the transaction of what the request did, before it is sent. So a repeat finds either
both or neither, wherever the first try broke off. After draft-ietf-httpapi-idempotency-key-header.

Nothing is held while a handler has not written. What it reads, it reads in transactions that end; a
password's hash is computed between them, so that requests with a key can't use up the pool while they stand
in the queue of the hasher. Requests with the same key take turns inside a process, and between processes an
advisory lock, taken at the beginning of every transaction, lets one of them write.
"""

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import scripts
from chassis.callers import current_principal
from chassis.database_faults import is_lock_timeout
from chassis.db import Database
from chassis.driver import Statements
from chassis.idempotency_records import IdempotencyRecord, StoredResponse
from chassis.keyed_lock import KeyedLock
from chassis.openapi import Responses, problems
from chassis.problems import Problem, Unauthorized
from chassis.request_transaction import RequestTransaction

HEADER = "Idempotency-Key"
REPLAYED = (b"idempotency-replayed", b"true")
WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PATIENCE_SECONDS = 2.0
"""How long a repeat waits for the request before it: shorter than the gateway waits for an answer."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REFUSED = 400
_ANYBODY = "anybody"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class InvalidIdempotencyKey(Problem, status=400, title="The Idempotency-Key can't be used"):
    """The key is not one that can be told from others."""

    detail = "Send one Idempotency-Key of 1 to 255 visible ASCII characters, best a random UUID."


class IdempotencyKeyInUse(Problem, status=409, title="The same request is still being answered"):
    """The first request with this key is still being answered."""

    detail = "Another request with this Idempotency-Key has no answer yet. Send the same again shortly."
    headers: Mapping[str, str] = {"Retry-After": "1"}


class IdempotencyKeyReused(Problem, status=422, title="The Idempotency-Key was used for another request"):
    """The key belongs to another request."""

    detail = "A repeat must be the same request to the letter. Use a new Idempotency-Key for a new request."


class IdempotentRoute(APIRoute):
    """The class of a router's routes that honour the key; `app.state.idempotency` keeps the answers.

    Not for routes that take long to read or to store what they are sent: their link works only once anyway.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: set[str] | list[str] | None = None,
        responses: Responses | None = None,
        openapi_extra: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if WRITING & set(methods or ()):
            responses = _documented(responses or {})
            openapi_extra = {**(openapi_extra or {}), "parameters": [_PARAMETER]}
        super().__init__(
            path, endpoint, methods=methods, responses=responses, openapi_extra=openapi_extra, **options
        )

    def get_route_handler(self) -> Handler:
        """Return the handler of the framework, with the key honoured before it."""
        handler = super().get_route_handler()
        personal = _asks_who_calls(self.dependant)

        async def handle(request: Request) -> Response:
            key = _key_of(request) if request.method in WRITING else None
            if key is None:
                return await handler(request)
            try:
                # An open route ignores a token, so one that expires must not make a new request of a repeat.
                caller = str((await current_principal(request)).user_id) if personal else _ANYBODY
            except Unauthorized:
                return await handler(request)
            idempotency: Idempotency = request.app.state.idempotency
            scope = (caller, request.method, request.url.path)
            digest = await _digest(request)
            return await idempotency.once(key, scope, digest, lambda: handler(request))

        return handle


class Idempotency:
    """Lets requests with the same key act once.

    `before_replay` sees the body of a kept answer before it is given again, and raises when it should not be.
    """

    def __init__(
        self, database: Database, *, before_replay: Callable[[bytes], Awaitable[None]] | None = None
    ) -> None:
        self._database = database
        self._before_replay = before_replay
        self._lock = KeyedLock()

    async def once(
        self, key: str, scope: tuple[str, ...], request: str, handle: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return the answer of `handle`, or the one that was kept for the same key, scope and request.

        Raises `IdempotencyKeyReused`, `IdempotencyKeyInUse`, and what `handle` raises.
        """
        record = IdempotencyRecord(self._database, key=key, scope=scope)
        patience = asyncio.timeout(PATIENCE_SECONDS)
        try:
            async with patience, self._lock.hold(record.name):
                patience.reschedule(None)
                return await self._in_turn(record, request, handle)
        except TimeoutError:
            if not patience.expired():
                raise
        # Whoever waits behind many others may have missed that the first of them was answered.
        kept = await self._look(record)
        if kept is None:
            raise IdempotencyKeyInUse
        return await self._again(kept, request)

    async def _in_turn(
        self, record: IdempotencyRecord, request: str, handle: Callable[[], Awaitable[Response]]
    ) -> Response:
        kept = await self._look(record)
        if kept is None:
            try:
                return await self._first_time(record, request, handle)
            except _AnsweredElsewhere as elsewhere:
                kept = elsewhere.answer
        return await self._again(kept, request)

    async def _again(self, kept: StoredResponse, request: str) -> Response:
        response = _replayed(kept, request)
        if self._before_replay is not None:
            await self._before_replay(kept.body)
        return response

    async def _look(self, record: IdempotencyRecord) -> StoredResponse | None:
        async with self._database.read_only() as session:
            return await record.look(session)

    async def _first_time(
        self, record: IdempotencyRecord, request: str, handle: Callable[[], Awaitable[Response]]
    ) -> Response:
        async with RequestTransaction(
            self._database, on_begin=lambda connection: _claim(connection, record)
        ) as shared:
            try:
                response = await handle()
            except Exception:
                # An error undoes only the unit of work that it ends: the others were complete.
                await shared.commit()
                raise
            kept = record.keep(_answer(request, response)) if response.status_code < _REFUSED else None
            await shared.commit(kept)
        return response


class _AnsweredElsewhere(Exception):
    """Another process has answered the same request in the meantime."""

    def __init__(self, answer: StoredResponse) -> None:
        super().__init__()
        self.answer = answer


async def _claim(connection: AsyncConnection, record: IdempotencyRecord) -> None:
    """Keep other processes out until the transaction ends; waits as long as the role's `lock_timeout`."""
    try:
        found = await Statements(connection).run(record.claim(), purpose="claim an idempotency key")
    except DBAPIError as error:
        if is_lock_timeout(error):
            raise IdempotencyKeyInUse from None
        raise
    if found != scripts.NOTHING_FOUND and (kept := await record.look(connection)) is not None:
        raise _AnsweredElsewhere(kept)


def _key_of(request: Request) -> str | None:
    keys = request.headers.getlist(HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidIdempotencyKey
    return keys[0]


async def _digest(request: Request) -> str:
    """Return what tells this request from another one to the same address."""
    head = json.dumps([request.url.query, request.headers.get("Content-Type", "")]).encode()
    return hashlib.sha256(head + b"\n" + await request.body()).hexdigest()


def _answer(request: str, response: Response) -> StoredResponse:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
    return StoredResponse(
        request=request, status=response.status_code, headers=headers, body=bytes(response.body)
    )


def _replayed(kept: StoredResponse, request: str) -> Response:
    if not hmac.compare_digest(kept.request, request):
        raise IdempotencyKeyReused
    response = Response(kept.body, status_code=kept.status)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.headers]
    response.raw_headers = [*headers, REPLAYED]
    return response


def _asks_who_calls(dependant: Dependant) -> bool:
    return dependant.call is current_principal or any(map(_asks_who_calls, dependant.dependencies))


_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": (
        "Makes the request safe to repeat for 24 hours: the same request with the same key, from the same "
        "caller, acts once and gets the same answer, with `Idempotency-Replayed: true`. Best a random UUID. "
        "Refusals and errors are not kept."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _documented(responses: Responses) -> Responses:
    documented = dict(responses)
    for status, ours in problems(InvalidIdempotencyKey, IdempotencyKeyInUse, IdempotencyKeyReused).items():
        theirs = responses.get(status)
        descriptions = [theirs["description"]] if theirs else []
        documented[status] = {**ours, "description": "; ".join([*descriptions, ours["description"]])}
    return documented
