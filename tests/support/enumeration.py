"""Asks an identity API about addresses that have an account and others that have none, in turns."""

import json
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from chassis.service_auth import GATEWAY_TOKEN_HEADER
from support.api_process import ApiProcess
from support.timing import Pairs

Body = dict[str, Any]
WARMING_PAIRS = 5
"""Pairs before the measured ones: whoever asks first waits for connections and caches."""


@dataclass(frozen=True)
class Question:
    """A request that names an address, the status of its answer, and what of the answer names it again.

    The same body was sent to `after` before, if there is one. As a `form` it is sent as pages send it, and a
    page is its answer.
    """

    name: str
    path: str
    status: int
    body: Callable[[str], Body]
    own_fields: tuple[str, ...] = ()
    after: str = ""
    form: bool = False


QUESTIONS = (
    Question(
        "login",
        "/api/v1/auth/login/json",
        401,
        lambda email: {"email": email, "password": secrets.token_hex(8)},
        ("instance",),
    ),
    Question(
        "register",
        "/api/v1/auth/register",
        201,
        lambda email: {"email": email, "password": secrets.token_hex(8)},
        ("id", "email", "created_at", "updated_at"),
    ),
    Question(
        "login-with-the-password-just-chosen",
        "/api/v1/auth/login/json",
        401,
        lambda email: {"email": email, "password": secrets.token_hex(8)},
        ("instance",),
        after="/api/v1/auth/register",
    ),
    Question("reset", "/api/v1/auth/request-password-reset", 200, lambda email: {"email": email}),
    Question("deletion", "/api/v1/auth/request-deletion", 200, lambda email: {"email": email}, form=True),
)


async def compare(api: ApiProcess, question: Question, known: Sequence[str], *, seed: int) -> Pairs:
    """Ask once about each known address and once about an unknown one, in random order, and time the answers.

    Raises AssertionError when the answers differ in anything but time and what names the request itself.
    """
    order, pairs = random.Random(seed), Pairs()
    async with aiohttp.ClientSession(api.url) as http:
        for number, email in enumerate(known):
            stranger = f"{secrets.token_hex(4)}-{number}@example.com"
            asked = [(email, pairs.first), (stranger, pairs.second)]
            order.shuffle(asked)
            seen = [await _ask(http, api.proof(), question, address, took) for address, took in asked]
            if seen[0] != seen[1]:
                raise AssertionError(f"{question.name} tells a known address from an unknown one: {seen}")
    return Pairs(pairs.first[WARMING_PAIRS:], pairs.second[WARMING_PAIRS:])


async def _ask(
    http: aiohttp.ClientSession, proof: str, question: Question, address: str, took: list[float]
) -> tuple[int, list[str], Body]:
    body = question.body(address)
    if question.after:
        async with http.post(question.after, json=body) as earlier:
            await earlier.read()
    began = time.perf_counter()
    sent: Body = {"data": body} if question.form else {"json": body}
    async with http.post(question.path, **sent, headers={GATEWAY_TOKEN_HEADER: proof}) as answer:
        text = await answer.text()
    document: Body = {"page": text} if question.form else json.loads(text)
    took.append((time.perf_counter() - began) * 1000)
    if answer.status != question.status:
        raise AssertionError(f"{question.name} was answered {answer.status} instead of {question.status}")
    same = {name: value for name, value in document.items() if name not in question.own_fields}
    return answer.status, sorted({*document, *answer.headers}), same
