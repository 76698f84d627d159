"""What a log line may hold, whoever writes it."""

import json
import logging
import traceback

import pytest
import structlog

from chassis import context
from chassis.problems import describe

CANARY = "canary@example.org"
FORBIDDEN = ["email", "password", "token", "refresh_token", "authorization", "ip", "url", "query", "secret"]


@pytest.mark.parametrize("field", FORBIDDEN, ids="A-19-{}".format)
def test_field_that_could_hold_personal_data_is_dropped(field, logged):
    structlog.get_logger().info("something_happened", **{field: CANARY}, count=3)
    (line,) = logged()
    assert (line["event"], line["count"]) == ("something_happened", 3)
    assert CANARY not in json.dumps(line)


@pytest.mark.parametrize("field", ["email", "password"])
def test_forbidden_field_is_dropped_at_any_depth(field, logged):
    structlog.get_logger().info("something_happened", data={"deep": [{field: CANARY, "count": 3}]})
    (line,) = logged()
    assert line["data"] == {"deep": [{"count": 3}]}


@pytest.mark.parametrize("row", ["A-19-logs-in-utc"])
def test_line_is_json_in_utc_with_service_level_request_and_trace(logged, row):
    trace = context.continued_trace(None)
    request, traced = context.request_id.set("abc"), context.traceparent.set(trace)
    structlog.get_logger().warning("something_happened")
    context.request_id.reset(request)
    context.traceparent.reset(traced)
    (line,) = logged()
    assert line["timestamp"].endswith("Z")
    assert (line["service"], line["level"], line["request_id"]) == ("under-test", "warning", "abc")
    assert line["trace_id"] == trace.split("-")[1]


def test_traceback_of_a_library_is_reduced_to_the_class_of_its_error(logged):
    try:
        {}[CANARY]
    except LookupError:
        logging.getLogger("some.library").exception("failed for %s", CANARY)
    (line,) = logged()
    assert (line["event"], line["library"], line["error"]) == ("library_error", "some.library", "KeyError")
    assert CANARY not in json.dumps(line)
    assert "Traceback" not in json.dumps(line)


def test_traceback_that_a_library_logs_as_text_is_reduced_to_the_class_of_its_error(logged):
    for message in (CANARY, f"line one\n{CANARY}", f"\n\n{CANARY}: {CANARY}"):
        try:
            raise ConnectionError(message)
        except OSError:
            logging.getLogger("some.library").error(traceback.format_exc())
    logging.getLogger("some.library").error("Traceback (most recent call last):\n%s", CANARY)
    lines = logged()
    assert [line["error"] for line in lines] == ["ConnectionError"] * 3 + ["unknown"]
    assert {line["event"] for line in lines} == {"library_error"}
    assert CANARY not in json.dumps(lines)


def test_error_that_a_library_quotes_in_its_message_is_reduced_to_its_class(logged):
    error = LookupError(f"Key (email)=({CANARY}) already exists")
    logging.getLogger("some.library").warning("gave up: %r", error)
    logging.getLogger("some.library").warning("gave up on %s after %d tries", error, 3)
    first, second = logged()
    assert first["event"] == "gave up: LookupError"
    assert second["event"] == "gave up on LookupError after 3 tries"


def test_warning_of_a_library_is_kept_and_its_chatter_is_not(logged):
    logging.getLogger("some.library").warning("disk is %d%% full", 91)
    logging.getLogger("some.library").info("connected")
    (line,) = logged()
    assert (line["event"], line["level"]) == ("disk is 91% full", "warning")


def test_description_of_an_error_names_class_and_place_only():
    def fail():
        raise ValueError(CANARY)

    with pytest.raises(ValueError, match="canary") as caught:
        fail()
    described = describe(caught.value)
    assert described.startswith("ValueError in fail (test_telemetry.py:")
    assert CANARY not in described
    assert describe(ValueError(CANARY)) == "ValueError"


def test_description_of_a_group_names_what_is_in_it():
    def fail():
        raise ValueError(CANARY)

    with pytest.raises(ValueError, match="canary") as caught:
        fail()
    group = ExceptionGroup("several", [caught.value, KeyError(CANARY)])
    assert describe(group) == f"{describe(caught.value)}, KeyError"
