"""Every outbox row that a test writes is held against the frozen schema of its type."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from chassis import db
from event_schemas.frozen import frozen_schema


@lru_cache
def validator(event_type: str) -> Draft202012Validator:
    """Return the validator of a type's committed schema."""
    return Draft202012Validator(frozen_schema(event_type), format_checker=FormatChecker())


class EventRecorder:
    """Stands before the outbox of every unit of work in the test process."""

    def __init__(self) -> None:
        self.produced: set[str] = set()
        self._original = db.write_outbox

    def install(self) -> None:
        """Begin to check what is written."""
        db.write_outbox = self._checked

    def remove(self) -> None:
        """Stop checking."""
        db.write_outbox = self._original

    async def _checked(self, uow: db.UnitOfWork, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            errors = sorted(
                error.json_path for error in validator(row["type"]).iter_errors(json.loads(row["body"]))
            )
            assert not errors, f"{row['type']} breaks its frozen schema at {', '.join(errors)}"
            self.produced.add(row["type"])
        await self._original(uow, rows)
