"""Scripts of the chassis' own tables: statements that travel in one message, which `chassis.driver` sends.

Their values are literals of letters and digits, which nothing can end before their end.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table

NOTHING_FOUND = "SELECT 0"
"""The status of a script whose last statement looked for a row in vain."""


def literal(value: str | bytes | UUID | bool | datetime | None) -> str:
    """Return a value as a literal of SQL in which nothing has a meaning."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, UUID | datetime):
        return f"'{value}'"
    if isinstance(value, bytes):
        return f"decode('{value.hex()}', 'hex')"
    if _PLAIN.fullmatch(value):
        return f"'{value}'"
    return f"convert_from({literal(value.encode())}, 'UTF8')"


_PLAIN = re.compile(r"[\w.:-]*", re.ASCII)


def find_tombstone(tombstones: Table, hashes: str) -> str:
    """Return what finds the tombstone of the person with these hashes."""
    named = ", ".join(map(literal, hashes.split(",")))
    return f"SELECT 1 FROM {tombstones.fullname} WHERE subject_hash IN ({named})"


def lock_subject(tombstones: Table, hashes: str) -> str:
    """Return what keeps a person's erasure from beginning, and finds their tombstone."""
    # Two statements: only what begins after the lock was granted sees the tombstone that it waited for.
    key = advisory_lock_key(hashes)
    return f"SELECT pg_advisory_xact_lock_shared({key}); {find_tombstone(tombstones, hashes)}"


def hold_subject(hashes: str) -> str:
    """Return what keeps a person's erasure from beginning, and returns no row; see `Statements.fetch`."""
    # What returns nothing of its own (void) is no NULL.
    return f"SELECT WHERE pg_advisory_xact_lock_shared({advisory_lock_key(hashes)}) IS NULL"


def add_tombstones(
    tombstones: Table, people: Iterable[str], erasure_id: UUID | None = None, *, keys: int = 1
) -> str:
    """Return what waits for every transaction that writes about these people, and raises their tombstones.

    Of each, tombstones stand under the first `keys` of their hashes.
    """
    # In one order, so that of two who raise several nobody waits for the other.
    raised = sorted(people, key=lambda hashes: hashes.rpartition(",")[2])
    locks = "".join(f"SELECT pg_advisory_xact_lock({advisory_lock_key(hashes)}); " for hashes in raised)
    digests = [digest for hashes in raised for digest in hashes.split(",")[:keys]]
    rows = [{"subject_hash": digest, "erasure_id": erasure_id} for digest in digests]
    return f"{locks}{_insert(tombstones, rows, _ONCE)}"


def record_deliveries(inbox: Table, consumer: str, event_ids: Iterable[UUID]) -> str:
    """Return what records deliveries; its status says how many of them are first ones."""
    rows = [{"consumer": consumer, "event_id": event_id} for event_id in event_ids]
    return _insert(inbox, rows, _ONCE)


def write_outbox(outbox: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what inserts rows into the outbox, in order."""
    return _insert(outbox, rows)


def insert_row(table: Table, row: Mapping[str, Any]) -> str:
    """Return what inserts a row of a service's own."""
    return _insert(table, [row])


def insert_once(table: Table, row: Mapping[str, Any]) -> str:
    """Return what inserts a row of a service's own, unless it is there."""
    return _insert(table, [row], _ONCE)


def lock_row(table: Table, **values: Any) -> str:
    """Return what locks the row that has these values, and finds it."""
    conditions = " AND ".join(f"{name} = {literal(value)}" for name, value in values.items())
    return f"SELECT 1 FROM {table.fullname} WHERE {conditions} FOR UPDATE"


def hold_row(table: Table) -> str:
    """Return what locks the only row of a table, and returns no row; see `Statements.fetch`."""
    held = f"SELECT 1 FROM {table.fullname} FOR UPDATE"
    return f"SELECT WHERE (SELECT count(*) FROM ({held}) AS held) < 0"


def update_every_row(table: Table, values: Mapping[str, Any]) -> str:
    """Return what sets columns of every row of a table."""
    changes = ", ".join(f"{name} = {literal(value)}" for name, value in values.items())
    return f"UPDATE {table.fullname} SET {changes}"


def wake(channel: str, table: str) -> str:
    """Return what wakes the workers of a table, in every process, once it is durable."""
    return f"SELECT pg_notify({literal(channel)}, {literal(table)})"


def claim_answer(answers: Table, name: str, *, lock: int, keep: timedelta) -> str:
    """Return what keeps others from answering the same request, and finds the answer that was kept."""
    young = f"created_at > clock_timestamp() - interval '{keep.total_seconds():.0f} s'"
    found = f"SELECT 1 FROM {answers.fullname} WHERE key_hash = {literal(name)} AND {young}"
    return f"SELECT pg_advisory_xact_lock({lock}); {found}"


def keep_answer(answers: Table, name: str, sealed: bytes) -> str:
    """Return what keeps an answer, in the place of one that is too old."""
    taken = "ON CONFLICT (key_hash) DO UPDATE SET sealed = excluded.sealed, created_at = clock_timestamp()"
    return _insert(answers, [{"key_hash": name, "sealed": sealed}], taken)


def advisory_lock_key(hashes: str) -> int:
    """Return the number of the advisory lock of a person: by the oldest key, which all processes have."""
    oldest = hashes.rpartition(",")[2]
    return int.from_bytes(bytes.fromhex(oldest[:16]), "big", signed=True)


_ONCE = "ON CONFLICT DO NOTHING"


def _insert(table: Table, rows: Sequence[Mapping[str, Any]], conflict: str = "") -> str:
    values = ", ".join(f"({', '.join(map(literal, row.values()))})" for row in rows)
    return f"INSERT INTO {table.fullname} ({', '.join(rows[0])}) VALUES {values} {conflict}"
