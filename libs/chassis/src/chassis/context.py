"""What a request or a message carries along: its id and its trace (W3C Trace Context)."""

import re
import secrets
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def continued_trace(incoming: str | None) -> str:
    """Return a traceparent with a span of ours, in the trace of `incoming` when that is valid."""
    span = secrets.token_hex(8)
    if incoming and _TRACEPARENT.match(incoming):
        _, trace, _, flags = incoming.split("-")
        return f"00-{trace}-{span}-{flags}"
    return f"00-{secrets.token_hex(16)}-{span}-01"
