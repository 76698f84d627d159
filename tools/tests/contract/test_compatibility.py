from copy import deepcopy

import pytest
from pydantic import BaseModel

from contracts.catalogue import EVENTS
from contracts.fields import Count, UserId
from event_schemas.compatibility import breaking_changes
from event_schemas.frozen import frozen_schema

PHOTO = "storage.photo.uploaded.v1"
REVOKED = "identity.session.revoked.v1"
COMPLETED = "identity.erasure.completed.v1"
JOINED = "*.participant.joined.v1"
UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
TYPES = "'image/jpeg', 'image/png', 'image/heic', 'image/webp'"
OVERDUE = "identity.erasure.overdue.v1"


def data(schema, name):
    return schema["$defs"][name]["properties"]


def photo(schema):
    return data(schema, "PhotoUploaded")


def remove_field(schema):
    del photo(schema)["size"]
    schema["$defs"]["PhotoUploaded"]["required"].remove("size")


def rename_field(schema):
    photo(schema)["bytes"] = photo(schema).pop("size")
    schema["$defs"]["PhotoUploaded"]["required"] = ["user_id", "photo_id", "content_type", "bytes"]


def add_required_field(schema):
    photo(schema)["width"] = {"type": "integer"}
    schema["$defs"]["PhotoUploaded"]["required"].append("width")


def make_optional(schema):
    schema["$defs"]["PhotoUploaded"]["required"].remove("size")


def make_required(schema):
    schema["required"].append("traceparent")


def forbid_unknown_fields(schema):
    schema["$defs"]["PhotoUploaded"]["additionalProperties"] = False


def revocation(schema):
    return data(schema, "SessionRevoked")


BREAKING = [
    (PHOTO, remove_field, ["data.size was removed"]),
    (PHOTO, rename_field, ["data.size was removed", "data.bytes is new and required"]),
    (PHOTO, add_required_field, ["data.width is new and required"]),
    (PHOTO, make_optional, ["data.size: required changed from True to False"]),
    (PHOTO, make_required, ["traceparent: required changed from False to True"]),
    (
        PHOTO,
        forbid_unknown_fields,
        ["data: additionalProperties changed from nothing to False"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["size"].update(type="string"),
        ["data.size: type changed from 'integer' to 'string'"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["size"].update(minimum=1),
        ["data.size: minimum changed from 0 to 1"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["size"].update(maximum=10),
        ["data.size: maximum changed from 9007199254740991 to 10"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["size"].pop("minimum"),
        ["data.size: minimum changed from 0 to nothing"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["size"].update(multipleOf=2),
        ["data.size: multipleOf changed from nothing to 2"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["photo_id"].update(pattern="^[0-9a-f]{32}$"),
        [f"data.photo_id: pattern changed from '{UUID_PATTERN}' to '^[0-9a-f]{{32}}$'"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["photo_id"].pop("format"),
        ["data.photo_id: format changed from 'uuid' to nothing"],
    ),
    (
        PHOTO,
        lambda it: it["$defs"]["PhotoContentType"]["enum"].remove("image/heic"),
        ["data.content_type: choice changed from 'image/heic' to nothing"],
    ),
    (
        PHOTO,
        lambda it: it["$defs"]["PhotoContentType"]["enum"].append("image/avif"),
        ["data.content_type: choice changed from nothing to 'image/avif'"],
    ),
    (
        PHOTO,
        lambda it: it["$defs"]["PhotoContentType"].pop("enum"),
        [f"data.content_type: choice changed from {TYPES} to nothing"],
    ),
    (
        PHOTO,
        lambda it: photo(it)["size"].update(enum=[1, 2]),
        ["data.size: choice changed from nothing to 1, 2"],
    ),
    (
        PHOTO,
        lambda it: it["properties"]["source"].update(const="/photos"),
        ["source: choice changed from '/storage' to '/photos'"],
    ),
    (
        PHOTO,
        lambda it: it["properties"]["datacontenttype"].update(default="text/json"),
        ["datacontenttype: default changed from 'application/json' to 'text/json'"],
    ),
    (
        REVOKED,
        lambda it: revocation(it)["session_id"]["anyOf"].pop(),
        ["data.session_id: type changed from 'null' to nothing"],
    ),
    (
        REVOKED,
        lambda it: revocation(it).update(session_id=revocation(it)["session_id"]["anyOf"][0]),
        ["data.session_id: type changed from 'null' to nothing"],
    ),
    (
        REVOKED,
        lambda it: revocation(it).update(user_id={"anyOf": [revocation(it)["user_id"], {"type": "null"}]}),
        ["data.user_id: type changed from nothing to 'null'"],
    ),
    (
        REVOKED,
        lambda it: revocation(it)["session_id"]["anyOf"][0].pop("pattern"),
        ["data.session_id: pattern changed from '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' to nothing"],
    ),
    (
        REVOKED,
        lambda it: revocation(it)["session_id"]["anyOf"].append({"type": "string", "const": "all"}),
        [
            "data.session_id: choice changed from nothing to 'all'",
            "data.session_id: type changed from nothing to 'string'",
        ],
    ),
    (
        COMPLETED,
        lambda it: data(it, "ParticipantErasure").pop("completed_at"),
        ["data.participants[].completed_at was removed"],
    ),
    (
        COMPLETED,
        lambda it: data(it, "ErasureCompleted")["participants"].update(minItems=2),
        ["data.participants: minItems changed from 1 to 2"],
    ),
    (
        COMPLETED,
        lambda it: data(it, "ParticipantErasure")["erased"]["patternProperties"]["^[a-z_]{1,40}$"].update(
            maximum=5
        ),
        ["data.participants[].erased.<^[a-z_]{1,40}$>: maximum changed from 9007199254740991 to 5"],
    ),
    (
        COMPLETED,
        lambda it: data(it, "ParticipantErasure")["erased"].update(patternProperties={}),
        [
            "data.participants[].erased: patternProperties changed from nothing to {}",
            *(
                f"data.participants[].erased.<^[a-z_]{{1,40}}$>: {what}"
                for what in (
                    "maximum changed from 9007199254740991 to nothing",
                    "minimum changed from 0 to nothing",
                    "type changed from 'integer' to nothing",
                )
            ),
        ],
    ),
    (
        COMPLETED,
        lambda it: data(it, "ParticipantErasure")["erased"].update(additionalProperties={"type": "integer"}),
        [
            "data.participants[].erased: additionalProperties changed from False to nothing",
            "data.participants[].erased.<additionalProperties>: type changed from nothing to 'integer'",
        ],
    ),
    (
        JOINED,
        lambda it: data(it, "ParticipantJoined")["handles"]["items"]["enum"].remove("export"),
        ["data.handles[]: choice changed from 'export' to nothing"],
    ),
    (
        OVERDUE,
        lambda it: data(it, "ErasureOverdue")["missing_participants"].update(minItems=0),
        ["data.missing_participants: minItems changed from 1 to 0"],
    ),
]


@pytest.mark.parametrize(("event_type", "mutate", "expected"), BREAKING)
def test_a_breaking_change_is_told_in_a_sentence(event_type, mutate, expected):
    schema = frozen_schema(event_type)
    mutant = deepcopy(schema)
    mutate(mutant)
    assert breaking_changes(schema, mutant) == expected


def add_optional_field(schema):
    photo(schema)["width"] = {"type": "integer", "minimum": 1, "default": 1}


def add_optional_nested_field(schema):
    data(schema, "ParticipantErasure")["retried"] = {"type": "integer"}


def describe(schema):
    schema["description"] = schema["title"] = "Told better."
    photo(schema)["size"]["description"] = "Bytes."


def reorder(schema):
    schema["required"].reverse()
    schema["$defs"]["PhotoContentType"]["enum"].reverse()
    schema["properties"] = dict(reversed(schema["properties"].items()))


def inline_definition(schema):
    photo(schema)["content_type"] = schema["$defs"].pop("PhotoContentType")


def rename_definition(schema):
    schema["$defs"]["ImageType"] = schema["$defs"].pop("PhotoContentType")
    photo(schema)["content_type"]["$ref"] = "#/$defs/ImageType"


def reorder_options(schema):
    revocation(schema)["session_id"]["anyOf"].reverse()


@pytest.mark.parametrize(
    ("event_type", "mutate"),
    [
        (PHOTO, add_optional_field),
        (COMPLETED, add_optional_nested_field),
        (PHOTO, describe),
        (PHOTO, reorder),
        (PHOTO, inline_definition),
        (PHOTO, rename_definition),
        (REVOKED, reorder_options),
    ],
)
def test_an_added_optional_field_and_better_words_are_no_breaking_change(event_type, mutate):
    schema = frozen_schema(event_type)
    mutant = deepcopy(schema)
    mutate(mutant)
    assert mutant != schema or list(mutant["properties"]) != list(schema["properties"])
    assert breaking_changes(schema, mutant) == []


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_schema_does_not_break_itself(event):
    schema = frozen_schema(event.type)
    assert breaking_changes(schema, deepcopy(schema)) == []


def test_an_optional_field_added_to_a_model_is_no_breaking_change():
    class Before(BaseModel):
        user_id: UserId

    class After(BaseModel):
        user_id: UserId
        visits: Count | None = None

    assert breaking_changes(Before.model_json_schema(), After.model_json_schema()) == []
    assert breaking_changes(After.model_json_schema(), Before.model_json_schema()) == ["visits was removed"]


def test_a_field_that_may_be_anything_is_part_of_the_promise():
    anything = {"patternProperties": {"^a$": {}}, "additionalProperties": False}
    assert breaking_changes(anything, {"additionalProperties": False}) == [
        ".<^a$>: anything changed from allowed to nothing"
    ]


def test_a_change_of_the_whole_envelope_has_a_place():
    assert breaking_changes({"type": "object"}, {"type": "array"}) == [
        "the envelope: type changed from 'object' to 'array'"
    ]
