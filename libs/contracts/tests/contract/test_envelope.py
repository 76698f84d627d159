import json
import traceback
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.catalogue import by_type
from contracts.envelope import Event, InvalidEvent, parse, parse_head, schema_urn, wrap
from contracts.fields import AuthProvider, RevocationReason, Timestamp, UserId
from contracts.identity import ErasureOverdue, SessionRevoked, UserActive, UserRegistered
from contracts.participation import ErasureReported, ParticipantJoined, erasure_digest
from event_schemas.frozen import schema_of

ID = UUID("019ab0c4-0e00-7001-8001-0000316edc57")
USER = UUID("019ab0c4-1000-7001-8001-0000316edc57")
ERASURE = UUID("019ab0c4-3000-7001-8001-0000316edc57")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "anna@example.com"
ReportedByStorage = ErasureReported.by("storage")


def registered(**changes):
    fields = {"user_id": USER, "auth_provider": AuthProvider.EMAIL, "registered_at": NOON} | changes
    return UserRegistered(**fields)


def body(event=None, **changes):
    message = json.loads(wrap(event or registered(), event_id=ID, time=NOON, traceparent=TRACE).to_json())
    message["data"] |= changes.pop("data", {})
    return json.dumps(message | changes).encode()


class UserRenamed(Event, type="identity.user.renamed.v1"):
    """A person chose another name."""

    user_id: UserId
    renamed_at: Timestamp


def test_an_event_travels_as_a_cloud_event():
    renamed = UserRenamed(user_id=USER, renamed_at=NOON)
    assert json.loads(wrap(renamed, event_id=ID, time=NOON, traceparent=TRACE).to_json()) == {
        "specversion": "1.0",
        "id": str(ID),
        "source": "/identity",
        "type": "identity.user.renamed.v1",
        "subject": f"users/{USER}",
        "time": "2026-11-22T12:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:irisvue:schema:identity.user.renamed.v1",
        "traceparent": TRACE,
        "data": {"user_id": str(USER), "renamed_at": "2026-11-22T12:00:00Z"},
    }


def test_a_deprecated_event_is_read_and_its_schema_says_so():
    class UserRenumbered(Event, type="identity.user.renumbered.v1", deprecated=True):
        """Deprecated: nobody publishes it any more."""

        user_id: UserId

    renumbered = UserRenumbered(user_id=USER)
    message = wrap(renumbered, event_id=ID, time=NOON).to_json()
    assert parse(message, UserRenumbered).data == renumbered
    assert schema_of(UserRenumbered)["deprecated"] is True
    assert "deprecated" not in schema_of(UserRenamed)


def test_an_absent_trace_is_left_out_but_a_null_in_the_data_stays():
    everywhere = SessionRevoked(user_id=USER, session_id=None, reason=RevocationReason.LOGOUT_ALL)
    message = json.loads(wrap(everywhere, event_id=ID, time=NOON).to_json())
    assert "traceparent" not in message
    assert message["data"]["session_id"] is None


def test_what_is_wrapped_is_read_back_equal():
    envelope = wrap(registered(), event_id=ID, time=NOON, traceparent=TRACE)
    assert parse(envelope.to_json(), UserRegistered) == envelope


@given(
    erased=st.dictionaries(
        st.from_regex(r"[a-z_]{1,40}", fullmatch=True), st.integers(0, 2**53 - 1), max_size=5
    ),
    moment=st.datetimes(
        min_value=datetime(1, 1, 3),  # noqa: DTZ001  # Hypothesis adds the zone.
        max_value=datetime(9999, 12, 29),  # noqa: DTZ001  # Hypothesis adds the zone.
        timezones=st.timezones(),
    ),
    event_id=st.uuids(),
    erasure_id=st.uuids(),
)
def test_any_report_survives_the_round_trip(erased, moment, event_id, erasure_id):
    report = ReportedByStorage.of(erasure_id, completed_at=moment, erased=erased)
    envelope = wrap(report, event_id=event_id, time=moment)
    again = parse(envelope.to_json(), ReportedByStorage)
    assert again == envelope
    assert again.time == moment.astimezone(UTC)
    assert again.time.utcoffset() == timedelta(0)


def test_the_head_is_read_without_knowing_the_payload():
    head = parse_head(body(type="identity.user.renamed.v7", data={"anything": 1}))
    assert (head.id, head.type, head.subject) == (ID, "identity.user.renamed.v7", f"users/{USER}")
    assert (head.time, head.traceparent) == (NOON, TRACE)


@pytest.mark.parametrize("broken", ["", "garbage", 7, None, "00-" + "0" * 32])
def test_a_broken_trace_is_ignored_and_the_event_is_not(broken):
    assert parse(body(traceparent=broken), UserRegistered).traceparent is None
    assert parse_head(body(traceparent=broken)).traceparent is None
    assert wrap(registered(), event_id=ID, time=NOON, traceparent=str(broken)).traceparent is None


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"", "body: json_invalid"),
        (b"\xff\xfe", "body: json_invalid"),
        (b"[" * 5000, "body: json_invalid"),
        (b"null", "body: model_type"),
        (body(id="1"), "id: uuid_parsing"),
        (body(specversion="0.3"), "specversion: literal_error"),
        (body(type="identity.user.deleted.v1"), "type: literal_error"),
        (body(source="/storage"), "source: literal_error"),
        (body(dataschema=schema_urn("identity.user.deleted.v1")), "dataschema: literal_error"),
        (body(datacontenttype="text/plain"), "datacontenttype: literal_error"),
        (body(subject=SECRET), "subject: string_pattern_mismatch"),
        (body(time="2026-11-22T12:00:00"), "time: timezone_aware"),
        (body(time=1795348800), "time: datetime_type"),
        (body(time="0001-01-01T00:00:00+14:00"), "time: value_error"),
        (body(data={"user_id": SECRET}), "data.user_id: uuid_parsing"),
        (body(data={"user_id": None}), "data.user_id: uuid_type"),
        (body(data={"auth_provider": SECRET}), "data.auth_provider: enum"),
        (body(data={"registered_at": SECRET}), "data.registered_at: datetime_parsing"),
        (body(data={"registered_at": "2026-11-22"}), "data.registered_at: datetime_parsing"),
    ],
)
def test_a_wrong_message_is_refused_with_the_place_and_the_rule(message, complaint):
    with pytest.raises(InvalidEvent) as refusal:
        parse(message, UserRegistered)
    assert str(refusal.value) == f"identity.user.registered.v1: {complaint}"


def test_a_refusal_never_repeats_what_was_received():
    report = ErasureReported.by("consent").of(ERASURE, completed_at=NOON, erased={"consents": 1})
    message = body(report, data={"erased": {SECRET: 1, "anna": SECRET}, "digest": SECRET, "service": SECRET})
    with pytest.raises(InvalidEvent) as refusal:
        parse(message, ErasureReported.by("consent"))
    told = "".join(traceback.format_exception(refusal.value))
    assert "anna" not in told.split("InvalidEvent", 1)[1]
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
    assert "data.erased.*" in str(refusal.value)


def test_a_head_that_is_none_is_refused():
    with pytest.raises(InvalidEvent, match="event: type: string_pattern_mismatch"):
        parse_head(body(type=SECRET))


def test_an_event_needs_a_time_zone_and_keeps_utc():
    berlin = timezone(timedelta(hours=1))
    assert registered(registered_at=datetime(2026, 11, 22, 13, tzinfo=berlin)).registered_at.tzinfo is UTC
    with pytest.raises(ValidationError, match="timezone"):
        registered(registered_at=NOON.replace(tzinfo=None))
    with pytest.raises(ValidationError, match="timezone"):
        wrap(registered(), event_id=ID, time=NOON.replace(tzinfo=None))


@pytest.mark.parametrize(
    "changes", [{"user_id": str(USER)}, {"auth_provider": "email"}, {"registered_at": 0}]
)
def test_an_event_is_strict_about_types(changes):
    with pytest.raises(ValidationError):
        registered(**changes)


def test_an_error_of_a_model_hides_the_value():
    with pytest.raises(ValidationError) as refusal:
        registered(user_id=SECRET)
    assert SECRET not in str(refusal.value)


def test_an_event_can_not_be_changed():
    event = registered()
    with pytest.raises(ValidationError, match="frozen"):
        event.user_id = ID


def test_the_subject_says_what_the_event_is_about():
    report = ReportedByStorage.of(ERASURE, completed_at=NOON, erased={})
    overdue = ErasureOverdue(erasure_id=ERASURE, deadline=NOON, missing_participants=("storage",))
    joined = ParticipantJoined.by("storage").of(handles=("erasure",), version="0.1.0")
    active = UserActive(user_id=USER, active_on=date(2026, 11, 22))
    assert active.subject == f"users/{USER}"
    assert report.subject == overdue.subject == f"erasures/{ERASURE}"
    assert joined.subject == "services/storage"


def test_a_report_carries_the_digest_of_its_counts():
    report = ReportedByStorage.of(ERASURE, completed_at=NOON, erased={"photos": 2, "data_keys": 1})
    assert report.digest == erasure_digest(ERASURE, "storage", {"data_keys": 1, "photos": 2})
    # Computed elsewhere, of {"erased":{"data_keys":1,"photos":2},"erasure_id":"019a…","service":"storage"}.
    assert report.digest == "16d80a972265b84716a79832b1f2d52b43871654893e3b3c6f3a723507605d6a"


def test_a_report_whose_digest_is_of_other_counts_is_refused():
    report = ReportedByStorage.of(ERASURE, completed_at=NOON, erased={"photos": 2})
    with pytest.raises(InvalidEvent, match="data: value_error"):
        parse(body(report, data={"erased": {"photos": 3}}), ReportedByStorage)


def test_no_service_can_report_for_another():
    with pytest.raises(ValidationError, match="literal_error"):
        ReportedByStorage(
            erasure_id=ERASURE,
            service="identity",
            completed_at=NOON,
            erased={},
            digest=erasure_digest(ERASURE, "identity", {}),
        )


def test_every_service_reports_under_its_own_type_without_being_known_here():
    report = ErasureReported.by("journal").of(ERASURE, completed_at=NOON, erased={"entries": 3})
    assert (report.type, report.service) == ("journal.erasure.reported.v1", "journal")
    message = wrap(report, event_id=ID, time=NOON).to_json()
    assert parse(message, ErasureReported).data == report
    assert ErasureReported.by("journal") is ErasureReported.of_type(report.type) is by_type(report.type)
    assert ErasureReported.of_type("journal.participant.joined.v1") is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": "/identity"}, "source: literal_error"),
        ({"dataschema": schema_urn("identity.erasure.reported.v1")}, "dataschema: literal_error"),
        ({"data": {"service": "identity"}}, "data.service: literal_error"),
        ({"type": "identity.erasure.reported.v1"}, "source: literal_error"),
        ({"type": "storage.user.deleted.v1"}, "type: string_pattern_mismatch"),
    ],
)
def test_a_report_is_of_the_service_that_its_type_names(changes, complaint):
    report = ReportedByStorage.of(ERASURE, completed_at=NOON, erased={})
    with pytest.raises(InvalidEvent, match=complaint):
        parse(body(report, **changes), ErasureReported)


def test_a_participant_handles_something():
    with pytest.raises(ValidationError, match="too_short"):
        ParticipantJoined.by("storage").of(handles=(), version="0.1.0")


@pytest.mark.parametrize(
    "wrong", ["identity.user.v1", "Identity.user.done.v1", "identity.user.done.v0", "a.b.c", ""]
)
def test_a_type_that_breaks_the_naming_rule_can_not_be_declared(wrong):
    with pytest.raises(TypeError, match="past-tense"):

        class Wrong(Event, type=wrong):
            """A wrong name."""

            user_id: UserId


def test_an_event_about_nothing_can_not_be_declared():
    with pytest.raises(TypeError, match="override `subject`"):

        class Aimless(Event, type="identity.user.vanished.v1"):
            """An event that has no subject."""


@pytest.mark.parametrize(("erased", "said"), [({}, True), ({"photos": 0}, True), ({"photos": 1}, False)])
def test_a_report_says_outright_that_nothing_was_held(erased, said):
    report = ReportedByStorage.of(ERASURE, completed_at=NOON, erased=erased)
    assert report.nothing_held is said
    assert parse(body(report), ReportedByStorage).data == report
    with pytest.raises(InvalidEvent):
        parse(body(report, data={"nothing_held": not said}), ReportedByStorage)


def test_a_report_of_an_earlier_release_does_not_say_whether_nothing_was_held():
    message = json.loads(body(ReportedByStorage.of(ERASURE, completed_at=NOON, erased={})))
    del message["data"]["nothing_held"]
    assert parse(json.dumps(message).encode(), ReportedByStorage).data.nothing_held is None
