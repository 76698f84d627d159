import json

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from contracts.catalogue import EVENTS, by_type, produced_by, types_of
from contracts.envelope import parse, parse_head, schema_urn
from contracts.topology import SERVICES
from event_schemas.documentation import page, page_path
from event_schemas.frozen import LIBRARY, drift, examples_of, file_name, frozen_schema, schema_of

EXAMPLES = [example for event in EVENTS for example in examples_of(event.type)]

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda it: f"{it.type}/{it.name}")


def validator(event_type):
    return Draft202012Validator(frozen_schema(event_type), format_checker=FormatChecker())


@every_event
def test_the_frozen_schema_is_what_the_model_says(event):
    assert frozen_schema(event.type) == schema_of(event), "run `make schemas`"


def test_no_file_has_drifted_from_the_models():
    assert drift() == []


@every_event
def test_every_event_has_a_valid_schema_that_carries_its_name(event):
    schema = frozen_schema(event.type)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == schema_urn(event.type)
    names = Draft202012Validator(schema["properties"]["dataschema"])
    types = {event_type for service in SERVICES for event_type in types_of(service)}
    allowed = {event_type for event_type in types if names.is_valid(schema_urn(event_type))}
    assert allowed == {event_type for event_type in types if event.of_type(event_type)}


@every_event
def test_every_event_has_an_example(event):
    assert examples_of(event.type)


def test_every_example_belongs_to_an_event():
    folders = {path.name for path in (LIBRARY / "examples").iterdir()}
    assert folders == {file_name(event.type) for event in EVENTS}


def test_no_two_examples_share_an_id():
    ids = [parse_head(example.body).id for example in EXAMPLES]
    assert len(set(ids)) == len(ids)


@every_example
def test_an_example_is_valid_for_schema_and_model_and_survives_the_round_trip(example):
    body = json.loads(example.body)
    validator(example.type).validate(body)
    envelope = parse(example.body, by_type(example.type))
    assert json.loads(envelope.model_dump_json(exclude_unset=True)) == body
    assert parse(envelope.to_json(), by_type(example.type)) == envelope
    validator(example.type).validate(json.loads(envelope.to_json()))
    assert envelope.subject == envelope.data.subject


@every_example
def test_a_reader_ignores_a_field_of_tomorrow(example):
    body = json.loads(example.body)
    body["tomorrow"] = body["data"]["tomorrow"] = {"unknown": [1]}
    event = by_type(example.type)
    validator(example.type).validate(body)
    assert parse(json.dumps(body).encode(), event) == parse(example.body, event)


@every_example
def test_schema_and_model_both_insist_on_every_required_field_of_the_data(example):
    event = by_type(example.type)
    for field in (name for name, field in event.model_fields.items() if field.is_required()):
        body = json.loads(example.body)
        del body["data"][field]
        assert not validator(example.type).is_valid(body)
        with pytest.raises(ValueError, match=rf"data[.]{field}: missing"):
            parse(json.dumps(body).encode(), event)


def test_both_forms_of_a_revocation_have_an_example():
    sessions = [
        json.loads(example.body)["data"]["session_id"]
        for example in examples_of("identity.session.revoked.v1")
    ]
    assert None in sessions
    assert any(sessions)


def test_the_page_of_the_events_is_what_the_models_say():
    assert page_path().read_text() == page(), "run `make schemas`"


@every_event
def test_every_event_is_in_the_page(event):
    assert f"\n## {event.type}\n" in page()
    assert f"| [{event.type}](" in page()


def test_no_type_is_declared_twice():
    types = [event.type for event in EVENTS]
    assert len(set(types)) == len(types)


def test_the_events_of_a_service_carry_its_name():
    assert {event_type.partition(".")[0] for event_type in types_of("storage")} == {"storage"}
    assert by_type("storage.photo.deleted.v1") in produced_by("storage")


def test_an_unknown_type_has_neither_model_nor_schema():
    with pytest.raises(KeyError):
        by_type("identity.user.renamed.v1")
    with pytest.raises(FileNotFoundError, match="make schemas"):
        frozen_schema("identity.user.renamed.v1")
