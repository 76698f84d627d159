"""Every error is a problem document, and none repeats what was sent."""

import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import APIRouter, Cookie, Header, Query
from fastapi.responses import PlainTextResponse
from pydantic import AnyUrl, BaseModel, ConfigDict, EmailStr, Field, SecretStr, field_validator

from chassis.faults import TransientFault
from chassis.openapi import problems
from chassis.problems import NotFound, Problem

CANARY = "canary"
PROBLEM_JSON = "application/problem+json"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Leaf(Strict):
    number: int


class Circle(Strict):
    shape: Literal["circle"]
    radius: int


class Square(Strict):
    shape: Literal["square"]
    side: int


class Everything(Strict):
    """A field of every kind that a request of ours may have."""

    text: Annotated[str, Field(max_length=5)] = ""
    code: Annotated[str, Field(pattern="^[0-9]+$")] = "1"
    email: EmailStr = "ada@example.org"
    number: int = 0
    amount: Decimal = Decimal(0)
    fraction: float = 0.0
    flag: bool = False
    id: UUID | None = None
    moment: datetime | None = None
    day: date | None = None
    link: AnyUrl | None = None
    address: IPv4Address | None = None
    colour: Colour = Colour.RED
    word: Literal["yes", "no"] = "yes"
    secret: Annotated[SecretStr, Field(min_length=12)] = SecretStr("long enough to pass")
    numbers: list[int] = []
    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    named: dict[str, int] = {}
    form: Annotated[Circle | Square, Field(discriminator="shape")] | None = None
    either: int | Leaf = 0
    pair: tuple[int, int] = (1, 2)
    renamed: Annotated[int, Field(alias="camelCase")] = 0
    even: int = 0

    @field_validator("even")
    @classmethod
    def _must_be_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


@pytest.fixture
def routes():
    router = APIRouter()

    @router.post("/everything")
    @router.put("/everything", operation_id="replace", responses=problems(NotFound, Unheard))
    async def everything(_body: Everything) -> dict[str, str]:
        return {"ok": "yes"}

    @router.post("/two")
    async def two(first: Leaf, second: Leaf) -> dict[str, str]:
        return {"ok": "yes"}

    @router.get("/things/{thing_id}")
    async def thing(
        thing_id: UUID,
        limit: Annotated[int, Query(le=10)] = 1,
        x_day: Annotated[date | None, Header()] = None,
        crumb: Annotated[int, Cookie()] = 0,
    ) -> dict[str, str]:
        return {"ok": "yes"}

    @router.get("/broken")
    async def broken() -> None:
        try:
            UUID(CANARY)
        except ValueError as error:
            raise RuntimeError(f"no row for {CANARY}@example.org") from error

    @router.get("/away")
    async def away() -> None:
        raise TransientFault(f"nobody answers for {CANARY}")

    @router.get("/teapot")
    async def teapot() -> None:
        raise Teapot("Only tea.", headers={"X-Pot": "round"}, extra={"cups": 2})

    @router.get("/answers-nonsense", response_model=Leaf)
    async def nonsense() -> Any:
        return {"number": CANARY}

    @router.get("/plain")
    async def plain() -> PlainTextResponse:
        return PlainTextResponse("plain", headers={"Cache-Control": "max-age=60"})

    return [router]


class Unheard(Problem):
    status = 422
    slug = "unheard-of"
    title = "Nobody has heard of this"


class Teapot(Problem):
    status = 418
    slug = "teapot"
    title = "This is a teapot"


def assert_is_a_problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    document = answer.json()
    assert document["type"] == f"urn:irisvue:problem:{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == f"urn:irisvue:request:{answer.headers['x-request-id']}"
    assert CANARY not in answer.text.lower()
    return document


WRONG = {
    "text": CANARY,
    "code": CANARY,
    "email": f"{CANARY}()<>",
    "email (unsafe character)": f"{CANARY}\u2028@example.org",
    "email (domain)": f"ada@{CANARY}",
    "number": CANARY,
    "number (too long)": "9" * 5000 + CANARY,
    "amount": CANARY,
    "fraction": CANARY,
    "flag": CANARY,
    "id": CANARY,
    "moment": CANARY,
    "day": CANARY,
    "link": f"//{CANARY}",
    "address": CANARY,
    "colour": CANARY,
    "word": CANARY,
    "secret": CANARY,
    "numbers": [1, CANARY],
    "leaf": CANARY,
    "leaf (inside)": {"number": CANARY},
    "leaf (more)": {"number": 1, CANARY: 1},
    "leaves": [{"number": 1}, {"number": CANARY}],
    "named": {CANARY: CANARY},
    "form": {"shape": CANARY},
    "form (inside)": {"shape": "circle", "radius": CANARY},
    "form (more)": {"shape": "circle", "radius": 1, CANARY: 2},
    "either": {CANARY: CANARY},
    "pair": [1, CANARY],
    "camelCase": CANARY,
}


@pytest.mark.parametrize("kind", WRONG)
async def test_wrong_value_is_named_by_its_field_and_not_repeated(kind, client):
    name = kind.split(" ")[0]
    answer = await client.post("/everything", json={name: WRONG[kind]})
    document = assert_is_a_problem(answer, 422, "invalid-request")
    assert name in document["detail"]
    assert {error["field"].split(".")[0] for error in document["errors"]} == {name}
    assert all(error["message"] for error in document["errors"])


@pytest.mark.parametrize("letter", ["g", "ü", "'", "`"])
async def test_not_even_a_letter_of_the_value_is_repeated(letter, client):
    clean = (await client.post("/everything", json={"id": "------------"})).json()["errors"]
    assert (await client.post("/everything", json={"id": letter})).json()["errors"] == clean


async def test_own_message_of_a_validator_reaches_the_caller(client):
    document = (await client.post("/everything", json={"even": 3})).json()
    assert document["errors"] == [{"field": "even", "message": "must be even"}]


async def test_field_that_nobody_declared_is_refused_without_its_name(client):
    answer = await client.post("/everything", json={CANARY: 1})
    document = assert_is_a_problem(answer, 422, "invalid-request")
    assert len(document["errors"]) == 1


async def test_fields_of_two_bodies_are_told_apart(client):
    answer = await client.post("/two", json={"first": {"number": 1}, "second": {"number": CANARY}})
    document = assert_is_a_problem(answer, 422, "invalid-request")
    assert [error["field"] for error in document["errors"]] == ["second.number"]


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        (f"/things/{CANARY}", {}, "thing_id"),
        (f"/things/00000000-0000-7000-8000-000000000000?limit={CANARY}", {}, "limit"),
        ("/things/00000000-0000-7000-8000-000000000000", {"X-Day": CANARY}, "x-day"),
        ("/things/00000000-0000-7000-8000-000000000000", {"Cookie": f"crumb={CANARY}"}, "crumb"),
    ],
)
async def test_wrong_part_of_the_address_or_of_a_header_is_not_repeated(path, headers, field, client):
    document = assert_is_a_problem(await client.get(path, headers=headers), 422, "invalid-request")
    assert [error["field"] for error in document["errors"]] == [field]


MALFORMED = {
    "no JSON": b'{"text": "canary"',
    "no text": b"\xff\xfecanary",
    "nothing": b"",
    "nested without end": b"[" * 100_000,
    "number without end": b'{"number": ' + b"9" * 100_000 + b"}",
    "a list": b'["canary"]',
    "a text": b'"canary"',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_body_is_a_problem_and_not_repeated(body, client):
    answer = await client.post("/everything", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert_is_a_problem(answer, answer.status_code, answer.json()["type"].rsplit(":", 1)[1])


async def test_body_that_is_no_json_says_so_and_names_no_field(client):
    answer = await client.post(
        "/everything", content=b'{"text": "canary"', headers={"Content-Type": "application/json"}
    )
    document = assert_is_a_problem(answer, 422, "invalid-request")
    assert document["errors"] == [{"field": "", "message": "The body is not valid JSON."}]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_body_of_another_kind_is_a_problem(kind, client):
    answer = await client.post("/everything", content=b"text=canary", headers={"Content-Type": kind})
    assert_is_a_problem(answer, 422, "invalid-request")


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", f"/{CANARY}", 404, "not-found"),
        ("GET", f"/things/{CANARY}/{CANARY}", 404, "not-found"),
        ("DELETE", "/everything", 405, "method-not-allowed"),
        ("GET", "/health/no-such-part", 404, "not-found"),
    ],
)
async def test_what_the_framework_refuses_is_a_problem(method, path, status, slug, client):
    answer = await client.request(method, path)
    assert_is_a_problem(answer, status, slug)
    assert (status == 405) == ("allow" in answer.headers)


async def test_a_refused_method_learns_every_method_that_the_address_takes(client):
    answer = await client.delete("/everything")
    assert answer.headers["allow"] == "POST, PUT"


async def test_document_names_every_problem_of_an_operation(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    putting = paths["/everything"]["put"]["responses"]
    described = {status: putting[status]["description"] for status in ("400", "404", "422")}
    assert described == {
        "400": "The request can't be read (`bad-request`)",
        "404": "Not found (`not-found`)",
        "422": "Nobody has heard of this (`unheard-of`); The request is not valid (`invalid-request`)",
    }
    assert "400" not in paths["/things/{thing_id}"]["get"]["responses"]
    assert "404" in paths["/health/{part}"]["get"]["responses"]


async def test_problem_carries_its_detail_headers_and_members(client):
    answer = await client.get("/teapot")
    document = assert_is_a_problem(answer, 418, "teapot")
    assert (document["detail"], document["cups"]) == ("Only tea.", 2)
    assert answer.headers["x-pot"] == "round"


async def test_unexpected_error_shows_neither_its_message_nor_a_traceback(client, logged):
    answer = await client.get("/broken")
    document = assert_is_a_problem(answer, 500, "internal-error")
    assert "Traceback" not in answer.text
    assert set(document) == {"type", "title", "status", "detail", "instance"}

    (line,) = [line for line in logged() if line["event"] == "unexpected_error"]
    assert line["error"].startswith("RuntimeError in broken (test_problems.py:")
    assert CANARY not in json.dumps(logged())


async def test_answer_that_breaks_its_own_schema_is_an_unexpected_error(client, logged):
    assert_is_a_problem(await client.get("/answers-nonsense"), 500, "internal-error")
    assert CANARY not in json.dumps(logged())


async def test_part_that_is_away_is_answered_503_with_a_time_to_come_back(client, logged):
    answer = await client.get("/away")
    assert_is_a_problem(answer, 503, "service-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert CANARY not in json.dumps(logged())


async def test_every_answer_carries_the_protective_headers(client):
    for path in ("/plain", "/broken", "/away", "/teapot", "/nowhere", "/things/x", "/health/liveness"):
        answer = await client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert answer.headers["x-request-id"], path
        assert answer.headers["cache-control"] == ("max-age=60" if path == "/plain" else "no-store"), path
