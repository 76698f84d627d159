"""Every outbox row that a test writes is held against the frozen schema of its type."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

import contracts
from chassis import db

SCHEMAS = Path(contracts.__file__).parents[2] / "schemas"


@lru_cache
def validator(event_type: str) -> Draft202012Validator:
    """Return the validator of a type's committed schema; a type without one is an AssertionError."""
    path = SCHEMAS / f"{event_type}.json"
    assert path.exists(), f"{event_type} has no frozen schema: run `make schemas`"  # noqa: S101
    return Draft202012Validator(json.loads(path.read_text()), format_checker=FormatChecker())


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
            assert not errors, f"{row['type']} breaks its frozen schema at {', '.join(errors)}"  # noqa: S101
            self.produced.add(row["type"])
        await self._original(uow, rows)
