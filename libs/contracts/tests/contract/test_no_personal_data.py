from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from contracts.catalogue import EVENTS
from contracts.envelope import Event, envelope_of
from contracts.fields import Count, DataKind, Kind, UserId
from event_schemas.privacy import leaves, unexplained


class Colour(StrEnum):
    RED = "red"


class Inner(BaseModel):
    nickname: str


class Harmless(BaseModel):
    user_id: UserId | None
    counts: dict[DataKind, Count]
    colours: tuple[Colour, ...]
    answer: Literal["yes", "no"]
    ids: list[UserId]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_no_event_can_carry_personal_data(event):
    assert unexplained(envelope_of(event)) == []


def test_the_walk_reaches_every_value_of_an_envelope():
    event = next(event for event in EVENTS if event.type == "identity.erasure.completed.v1")
    paths = {leaf.path for leaf in leaves(envelope_of(event))}
    assert {
        "id",
        "subject",
        "traceparent",
        "data.erasure_id",
        "data.participants[].service",
        "data.participants[].erased.<key>",
        "data.participants[].erased.<value>",
    } <= paths


def test_marked_values_and_closed_choices_pass():
    assert unexplained(Harmless) == []


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        int,
        UUID,
        datetime,
        bytes,
        dict,
        Any,
        Inner,
        str | None,
        list[str],
        tuple[UserId, str],
        dict[str, Count],
        dict[DataKind, str],
        list[Inner],
        dict[DataKind, list[Inner | None]],
        Annotated[str, Kind.CODE],
        Annotated[str, Field(pattern="[a-z]+"), Kind.CODE],
        Annotated[str, Field(pattern="^[a-z]+$")],
        Annotated[str, Field(pattern="^.{1,80}$"), Kind.VERSION],
        Annotated[str, Field(pattern="^a|z$"), Kind.CODE],
        Annotated[str, Field(max_length=8), Kind.DIGEST],
        Annotated[dict[str, str], Kind.COUNT],
        Annotated[bytes, Kind.DIGEST],
        UserId | str,
    ],
    ids=str,
)
def test_a_value_that_could_be_personal_is_found(annotation):
    model = type("Suspect", (BaseModel,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    assert {path.split(".")[0].removesuffix("[]") for path in unexplained(model)} == {"value"}


def test_a_bare_text_field_of_an_event_fails_the_walk():
    class Suspect(Event, type="identity.user.renamed.v1"):
        """A person chose another name."""

        user_id: UserId
        name: str

    assert unexplained(envelope_of(Suspect)) == ["data.name"]


def test_a_model_that_keeps_unknown_fields_fails_the_walk():
    class Open(BaseModel, extra="allow"):
        user_id: UserId

    assert unexplained(Open) == ["<any extra field>"]
