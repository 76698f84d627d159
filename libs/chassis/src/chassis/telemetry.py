"""Structured logs: one JSON object a line, in UTC, with the request's id and trace and nothing personal."""

import atexit
import copy
import logging
import re
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from chassis import context
from chassis.log_writer import LogWriter

# A field of one of these names would carry personal data or a secret, whoever logs it.
_NEVER_LOGGED = frozenset(
    {
        "email", "password", "token", "access_token", "refresh_token", "authorization", "cookie", "ip",
        "client_ip", "url", "query", "body", "user_agent", "key", "secret", "username",
    }
)  # fmt: skip

_TRACEBACK = "Traceback (most recent call last)"


def configure_logging(*, service: str, level: str) -> LogWriter:
    """Send every log line of this process, ours and the libraries', to standard output as JSON.

    Returns what writes them, which loses none at the end of the process.
    """
    shared: list[Any] = [
        partial(_add_service, service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context,
        _drop_forbidden_fields,
    ]
    writer = LogWriter(sys.stdout, tell_dropped=_tell_dropped)
    lines = structlog.WriteLogger(cast("TextIO", writer))
    atexit.register(writer.drain)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(writer)
    handler.setFormatter(
        _LibraryFormatter(
            processors=[
                _name_the_library,
                _keep_only_the_class_of_errors,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    return writer


def _tell_dropped(count: int) -> None:
    structlog.get_logger(__name__).error("log_lines_dropped", count=count)


class _LibraryFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats the lines of libraries; an error that is quoted in one is reduced to its class."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`, which itself is left as it was."""
        given = record.args
        if isinstance(given, tuple):
            record = copy.copy(record)
            record.args = tuple(
                _ClassOnly(part) if isinstance(part, BaseException) else part for part in given
            )
        return super().format(record)


class _ClassOnly:
    def __init__(self, error: BaseException) -> None:
        self._name = type(error).__name__

    def __repr__(self) -> str:
        return self._name


def _add_service(service: str, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["service"] = service
    return event


def _add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if request := context.request_id.get():
        event["request_id"] = request
    if trace := context.traceparent.get():
        event["trace_id"] = trace.split("-")[1]
    return event


def _drop_forbidden_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _harmless(value) for name, value in event.items() if name not in _NEVER_LOGGED}


def _harmless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _harmless(part) for name, part in value.items() if name not in _NEVER_LOGGED}
    if isinstance(value, list):
        return [_harmless(part) for part in value]
    return value


def _name_the_library(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Without it, a line that was reduced to an error's class says nothing about where to look.
    event["library"] = event["_record"].name
    return event


def _keep_only_the_class_of_errors(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # A driver's message may quote a row ("Key (email)=(…) already exists"), so a library's traceback is
    # reduced to the error's class.
    info = event.pop("exc_info", None)
    said = str(event["event"])
    if isinstance(info, tuple) and info[0] is not None:
        event.update(error=info[0].__name__, event="library_error")
    elif _TRACEBACK in said:
        # uvicorn logs what broke an application's start as one text.
        event.update(error=_class_in(said), event="library_error")
    return event


def _class_in(traceback: str) -> str:
    """Return the class that a traceback in letters ends with: it begins the first line after the frames."""
    for line in traceback.rpartition(_TRACEBACK)[2].splitlines()[1:]:
        if line and not line.startswith(" "):
            name = line.split(":")[0]
            return name if re.fullmatch(r"[\w.]+", name) else "unknown"
    return "unknown"
