"""What a request or a message carries along: its id, its arrival and its trace (W3C Trace Context)."""

import re
import secrets
import time
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
arrived: ContextVar[float | None] = ContextVar("arrived", default=None)
"""When the request arrived, on the clock of `time.monotonic`."""


def seconds_left(of: float) -> float:
    """Return how many of the `of` seconds that a request may take are left; all of them outside a request."""
    since = arrived.get()
    return of if since is None else of - (time.monotonic() - since)


def continued_trace(incoming: str | None) -> str:
    """Return a traceparent with a span of ours, in the trace of `incoming` when that is valid."""
    span = secrets.token_hex(8)
    if incoming and _TRACEPARENT.match(incoming):
        _, trace, _, flags = incoming.split("-")
        return f"00-{trace}-{span}-{flags}"
    return f"00-{secrets.token_hex(16)}-{span}-01"
