"""What an event looks like in the outbox."""

from datetime import datetime
from typing import Any

from chassis.ids import new_id
from contracts.envelope import Event, wrap
from contracts.topology import has_queue


def outbox_row(event: Event, traceparent: str | None, *, now: datetime) -> dict[str, Any]:
    """Return the row of an event that was announced now, in that trace; its author says who must hear it."""
    envelope = wrap(event, event_id=new_id(), time=now, traceparent=traceparent)
    return {
        "event_id": envelope.id,
        "type": envelope.type,
        "subject": envelope.subject,
        "body": envelope.to_json(),
        "mandatory": has_queue(envelope.type),
    }
