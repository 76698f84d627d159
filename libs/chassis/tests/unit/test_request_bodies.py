"""A value in a body is what JSON says it is; a refusal says what it should be, in words for a person."""

from enum import StrEnum
from typing import Annotated, Literal

import pytest
from fastapi import APIRouter, Query
from pydantic import Field

from chassis.requests import RequestBody


class Colour(StrEnum):
    BLUE = "blue"
    BROWN = "brown"


class Wish(RequestBody):
    sure: bool = False
    maybe: bool | None = None
    yes: Literal[True] = True
    number: Annotated[int, Field(ge=1, le=9)] = 1
    perhaps: int | None = None
    either: int | str = 1
    share: float = 0.5
    text: Annotated[str, Field(min_length=3, max_length=5)] = "four"
    many: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(default_factory=lambda: ["a"])
    colour: Colour = Colour.BLUE


@pytest.fixture
def routes():
    router = APIRouter()

    @router.post("/wishes")
    async def wish(body: Wish) -> Wish:
        return body

    @router.get("/wishes")
    async def wishes(limit: Annotated[int, Query(ge=1)] = 1, *, deep: bool = False) -> dict[str, object]:
        return {"limit": limit, "deep": deep}

    return [router]


GOOD = [
    {},
    {"sure": True},
    {"sure": False, "maybe": None, "perhaps": None},
    {"maybe": True, "yes": True},
    {"number": 9, "perhaps": 3, "either": "3", "share": 1},
    {"number": 3.0},
    {"unknown": "ignored"},
]


@pytest.mark.parametrize("body", GOOD)
async def test_json_of_the_declared_kind_is_taken(body, client):
    assert (await client.post("/wishes", json=body)).status_code == 200


@pytest.mark.parametrize("value", ["yes", "on", "true", "True", "1", "t", 1, 1.0, 0, "no", "", [], {}])
@pytest.mark.parametrize("name", ["sure", "maybe"])
async def test_nothing_but_true_and_false_is_a_boolean(name, value, client):
    answer = await client.post("/wishes", json={name: value})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": name, "message": "This must be true or false."}]


@pytest.mark.parametrize("value", ["yes", "on", "true", 1, 1.0, False])
async def test_literal_true_is_nothing_else(value, client):
    assert (await client.post("/wishes", json={"yes": value})).status_code == 422


@pytest.mark.parametrize("value", ["3", " 3", True, False, 3.5, "three", [], {}])
@pytest.mark.parametrize("name", ["number", "perhaps"])
async def test_nothing_but_a_whole_number_is_an_integer(name, value, client):
    answer = await client.post("/wishes", json={name: value})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": name, "message": "This must be a whole number."}]


async def test_parameters_of_an_address_are_text_and_read_as_such(client):
    answer = await client.get("/wishes?limit=3&deep=true")
    assert answer.json() == {"limit": 3, "deep": True}


async def test_half_a_character_is_refused(client):
    answer = await client.post(
        "/wishes", content=b'{"text": "ab\\ud800"}', headers={"Content-Type": "application/json"}
    )
    assert answer.json()["errors"] == [{"field": "text", "message": "This text contains half a character."}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"colour": "green"}, "Use one of: 'blue' or 'brown'."),
        ({"yes": False}, "Use one of: true."),
        ({"text": "a"}, "This needs at least 3 characters."),
        ({"text": "abcdefgh"}, "This needs at most 5 characters."),
        ({"text": 7}, "This must be text."),
        ({"many": []}, "This needs at least 1 entries."),
        ({"many": ["a", "b", "c"]}, "This needs at most 2 entries."),
        ({"many": "a"}, "This must be a list."),
        ({"number": 0}, "This must be at least 1."),
        ({"number": 10}, "This must be at most 9."),
        ({"share": "much"}, "This must be a number."),
    ],
)
async def test_refusal_says_what_it_should_be(body, message, client):
    document = (await client.post("/wishes", json=body)).json()
    assert document["errors"][0]["message"] == message
    for word in ("Input", "String", "List", "valid ", "after validation", "pydantic"):
        assert word not in document["detail"]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "text/json"]
)
async def test_body_that_does_not_say_it_is_json_is_told_so(kind, client):
    headers = {"Content-Type": kind} if kind else {}
    answer = await client.post("/wishes", content=b'{"sure": true}', headers=headers)
    assert answer.status_code == 422
    assert "Send JSON with Content-Type: application/json." in answer.json()["detail"]
    assert answer.json()["errors"] == [
        {"field": "", "message": "Send JSON with Content-Type: application/json."}
    ]


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/ld+json"]
)
async def test_body_that_says_it_is_json_is_read_as_json(kind, client):
    answer = await client.post("/wishes", content=b"[]", headers={"Content-Type": kind})
    assert answer.json()["errors"] == [{"field": "", "message": "This must be a JSON object."}]
    good = await client.post("/wishes", content=b'{"sure": true}', headers={"Content-Type": kind})
    assert good.json()["sure"] is True
