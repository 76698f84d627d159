"""What a client of the object store asks it, call by call."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chassis.object_store import ObjectStore


@contextmanager
def requests_to(store: ObjectStore) -> Iterator[list[str]]:
    """Collect the names of the operations that the block asks for, such as `PutObject`; pages count each."""
    asked: list[str] = []
    events = store._client.meta.events

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    events.register("before-call.s3", note)
    try:
        yield asked
    finally:
        events.unregister("before-call.s3", note)
