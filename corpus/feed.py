"""Sends each picture through the gateway as the app does: link, bytes, confirmation, both reading links.

Each goes a second time in pieces (tus), which must end alike.
"""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

import aiohttp

from cluster.errors import ClusterError
from corpus.pick import Sample
from demo.client import Answer, App

PICTURES_OF_ONE_PERSON: Final = 20
"""Twice as many are fewer than one person may upload a day with the limits of production."""
_PLACE: Final = {"country_code": "DE"}
_TAKEN: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})

Way = Callable[[App, Sample], Awaitable[tuple[Answer, Answer]]]
"""Asks for a link and brings the bytes over it; returns the first and the last answer."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is read over one reading link."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file became: `renditions` has the picture and its thumbnail when it was accepted.

    `otherwise` says what became of it in pieces, where that is something else.
    """

    sample: Sample
    status: int
    problem: str = ""
    detail: str = ""
    renditions: dict[str, Served] = field(default_factory=dict)
    otherwise: str = ""

    @property
    def accepted(self) -> bool:
        """Whether picture and thumbnail could be read in the end."""
        return bool(self.renditions)


class Traffic:
    """Counts every answer; no request is ever sent twice, so none of 5xx is hidden by a repetition."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []

    def heard(self, answer: Answer) -> None:
        """Count one answer. Raises `ClusterError` for one that says that a limit is met."""
        self.statuses[answer.status] += 1
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            limit = answer.headers.get("RateLimit-Policy", "its limit")
            raise ClusterError(
                f"{answer.method} {answer.target} met {limit}: {answer.document.get('detail', '')} "
                'Set GATEWAY_LIMITS in .env to more, such as {"register": "60000/minute", '
                '"link": "60000/minute", "user": "60000/minute", "upload": "60000/minute"}, and `make up`.'
            )
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failures.append(f"{answer.method} {answer.target}: {answer.status} {answer.body[:200]!r}")


async def feed(
    http: aiohttp.ClientSession, url: str, samples: Sequence[Sample], traffic: Traffic
) -> AsyncIterator[Outcome]:
    """Yield what each file became, in order; every person who sent some is erased in the end."""
    for start in range(0, len(samples), PICTURES_OF_ONE_PERSON):
        async with _person(http, url, traffic) as app:
            for sample in samples[start : start + PICTURES_OF_ONE_PERSON]:
                yield await _send_both_ways(app, sample)


@asynccontextmanager
async def _person(http: aiohttp.ClientSession, url: str, traffic: Traffic) -> AsyncIterator[App]:
    app = App(http, url, listener=traffic.heard)
    email, password = f"corpus.{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(16)
    _expect(await app.register(email, password), HTTPStatus.CREATED)
    _expect(await app.login(email, password), HTTPStatus.OK)
    law = _expect(await app.jurisdiction(**_PLACE), HTTPStatus.OK).document
    _expect(await app.grant(law["jurisdiction"], law["consent_text_version"]), HTTPStatus.CREATED)
    yield app
    _expect(await app.delete_account(), HTTPStatus.OK)


async def _send_both_ways(app: App, sample: Sample) -> Outcome:
    whole = await _send(app, sample, _put)
    if not sample.body:
        # An upload in pieces is of at least one byte.
        return whole
    pieces = await _send(app, sample, _append)
    same = (whole.problem, whole.renditions) == (pieces.problem, pieces.renditions)
    return whole if same else replace(whole, otherwise=f"{pieces.status} {pieces.problem or 'accepted'}")


async def _put(app: App, sample: Sample) -> tuple[Answer, Answer]:
    ticket = await app.ask_to_upload(sample.declared)
    if ticket.status != HTTPStatus.CREATED:
        return ticket, ticket
    return ticket, await app.put(ticket.document["upload_url"], sample.body, sample.declared)


async def _append(app: App, sample: Sample) -> tuple[Answer, Answer]:
    size = len(sample.body)
    ticket = answer = await app.begin_in_pieces(size, sample.declared)
    for begin, end in ((0, size // 2), (size // 2, size)):
        if answer.status not in _TAKEN:
            break
        answer = await app.append(ticket.document["upload_url"], begin, sample.body[begin:end])
    return ticket, answer


async def _send(app: App, sample: Sample, send: Way) -> Outcome:
    ticket, receipt = await send(app, sample)
    if receipt.status not in _TAKEN:
        return _refusal(sample, receipt)
    confirmed = await app.confirm(ticket.document["photo_id"], file_size=len(sample.body), width=1, height=1)
    if confirmed.status != HTTPStatus.OK:
        return _refusal(sample, confirmed)
    renditions: dict[str, Served] = {}
    for rendition in ("original", "thumbnail"):
        answer = await app.follow("GET", confirmed.document[f"{rendition}_url"])
        if answer.status != HTTPStatus.OK:
            return _refusal(sample, answer)
        renditions[rendition] = Served(answer.headers["Content-Type"], answer.body)
    return Outcome(sample, receipt.status, renditions=renditions)


def _refusal(sample: Sample, answer: Answer) -> Outcome:
    return Outcome(sample, answer.status, answer.problem, str(answer.document.get("detail", "")))


def _expect(answer: Answer, status: HTTPStatus) -> Answer:
    if answer.status != status:
        detail = answer.document.get("detail", "")
        raise ClusterError(f"{answer.method} {answer.target} answers {answer.status}: {detail}")
    return answer
