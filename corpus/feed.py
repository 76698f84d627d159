"""Sends each picture through the gateway as the app does: link, bytes, confirmation, both reading links."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp

from cluster.errors import ClusterError
from corpus.pick import Sample
from demo.client import Answer, App

PICTURES_OF_ONE_PERSON: Final = 40
"""Fewer than one person may upload a day with the limits of production."""
_PLACE: Final = {"country_code": "DE"}


@dataclass(frozen=True, slots=True)
class Served:
    """What is read over one reading link."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file became: `renditions` has the picture and its thumbnail when it was accepted."""

    sample: Sample
    status: int
    problem: str = ""
    detail: str = ""
    renditions: dict[str, Served] = field(default_factory=dict)

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
                yield await _send(app, sample)


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


async def _send(app: App, sample: Sample) -> Outcome:
    ticket = await app.ask_to_upload(sample.declared)
    if ticket.status != HTTPStatus.CREATED:
        return _refusal(sample, ticket)
    receipt = await app.put(ticket.document["upload_url"], sample.body, sample.declared)
    if receipt.status != HTTPStatus.OK:
        return _refusal(sample, receipt)
    measured = receipt.document
    confirmed = await app.confirm(
        ticket.document["photo_id"],
        file_size=len(sample.body),
        width=measured["width"],
        height=measured["height"],
    )
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
