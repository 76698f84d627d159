"""What is read of a gate and of a grant on the paths that everybody takes, as plain values."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, literal_column

from consent.models import Gate, LedgerEntry

GATES = cast("Table", Gate.__table__)
ENTRIES = cast("Table", LedgerEntry.__table__)


@dataclass(frozen=True, slots=True)
class GateState:
    """A gate as it stands."""

    user_id: UUID
    consent_type: str
    epoch: int
    ended_epoch: int
    open_consent_id: UUID | None
    open_until: datetime | None


@dataclass(slots=True)
class GrantRow:
    """What a grant says that later entries and answers are made of."""

    user_id: UUID | None
    consent_id: UUID | None
    consent_type: str
    jurisdiction: str
    jurisdictions: list[str]
    consent_text_version: str
    text_digest: str
    locale: str
    ruleset_version: str
    ruleset_digest: str
    epoch: int
    occurred_at: datetime
    expires_at: datetime | None
    country: str | None
    region: str | None
    residence: str | None


SAYS_YES: list[ColumnElement[str]] = [literal_column("'grant'"), literal_column("'renewal'")]
GATE_FIELDS = [field.name for field in fields(GateState)]
GRANT_FIELDS = [field.name for field in fields(GrantRow)]


def holds_open(gate: Any, entry: Any) -> ColumnElement[bool]:
    """Return what joins a gate with the grant that holds it open, if one does."""
    return and_(
        entry.c.consent_id == gate.c.open_consent_id,
        entry.c.user_id == gate.c.user_id,
        # Written out, so that the index of grants serves whatever plan the statement has.
        entry.c.kind.in_(SAYS_YES),
    )


def gate_of(row: Any, *, begin: int) -> GateState | None:
    """Return the gate whose columns begin there in a row, if there is one."""
    part = row[begin : begin + len(GATE_FIELDS)]
    return None if part[0] is None else GateState(*part)


def grant_of(row: Any, *, begin: int) -> GrantRow | None:
    """Return the grant whose columns begin there in a row, if there is one."""
    part = row[begin : begin + len(GRANT_FIELDS)]
    return None if part[0] is None else GrantRow(*part)
