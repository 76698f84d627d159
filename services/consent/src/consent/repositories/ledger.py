"""Every query about the entries."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    String,
    Uuid,
    and_,
    bindparam,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.orm import aliased

from chassis.driver import statements_of
from chassis.prepared import Prepared
from chassis.repository import Repository
from chassis.tables import Moment
from consent.jurisdictions import Resolution
from consent.models import SALT_BYTES, Gate, LedgerEntry, Personal
from consent.policy import EntryKind
from consent.repositories.rows import ENTRIES, GATES, GRANT_FIELDS, SAYS_YES, GateState, GrantRow
from consent.rulebook import ConsentText, Ruleset

SAYS_YES_OR_NO = [*SAYS_YES, literal_column("'refusal'")]
# Position and time are the database's.
_WRITTEN = [column for column in ENTRIES.c if column.name not in {"position", "occurred_at"}]
_FIELDS = {
    column.name: attribute.key
    for attribute in LedgerEntry.__mapper__.column_attrs
    for column in attribute.columns
}


def _append_entry() -> Any:
    """Return the statement that moves a gate and writes the entry that moved it."""
    moved = (
        update(GATES)
        .where(
            GATES.c.user_id == bindparam("gate_user", type_=Uuid),
            GATES.c.consent_type == bindparam("gate_type", type_=String),
        )
        .values(
            epoch=bindparam("gate_epoch", type_=BigInteger),
            ended_epoch=bindparam("gate_ended", type_=BigInteger),
            open_consent_id=bindparam("gate_consent", type_=Uuid),
            open_until=bindparam("gate_until", type_=Moment),
            position=null(),
        )
        .cte("moved")
    )
    entry = {column: bindparam(f"entry_{column.name}", type_=column.type) for column in _WRITTEN}
    return insert(ENTRIES).values(entry).add_cte(moved).returning(ENTRIES.c.occurred_at)


_APPEND = Prepared(_append_entry())


@dataclass(frozen=True)
class GrantTerms:
    """What a grant is made of beside the person: the words, the rules, the place and what the app sent.

    A refusal is made of the same, without an end. `resolved_digests` are of the rules of the regimes that
    the place was resolved to, in their order.
    """

    kind: EntryKind
    consent_id: UUID
    text: ConsentText
    ruleset: Ruleset
    jurisdiction: str
    jurisdictions: tuple[str, ...]
    resolution: Resolution
    resolved_digests: tuple[str, ...]
    expires_at: datetime | None
    details: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True)
class GrantInHistory:
    """A grant and what came after it: the first later withdrawal, and the kind of the very next entry."""

    entry: LedgerEntry
    withdrawn_at: datetime | None
    followed_by: str | None


class Ledger(Repository):
    """The entries: what was agreed to, what was withdrawn and what has lapsed."""

    async def said(self, user_id: UUID, consent_id: UUID) -> LedgerEntry | None:
        """Return the grant or refusal with that id if it is that person's."""
        query = select(LedgerEntry).where(
            LedgerEntry.consent_id == consent_id,
            LedgerEntry.user_id == user_id,
            LedgerEntry.kind.in_(SAYS_YES_OR_NO),
        )
        return await self._session.scalar(query)

    async def newest(self, user_id: UUID, consent_id: UUID) -> LedgerEntry | None:
        """Return the last entry about a consent or refusal with that id, if it is that person's."""
        query = (
            select(LedgerEntry)
            .where(LedgerEntry.user_id == user_id, LedgerEntry.consent_id == consent_id)
            .order_by(LedgerEntry.epoch.desc())
            .limit(1)
        )
        return await self._session.scalar(query)

    async def last(self, gate: GateState) -> LedgerEntry | None:
        """Return the newest entry of a gate; None while it has none."""
        query = select(LedgerEntry).where(
            LedgerEntry.user_id == gate.user_id,
            LedgerEntry.consent_type == gate.consent_type,
            LedgerEntry.epoch == gate.epoch,
        )
        return await self._session.scalar(query)

    async def grants(
        self, user_id: UUID, *, before: LedgerEntry | None = None, limit: int, refusals: bool = False
    ) -> Sequence[GrantInHistory]:
        """Return at most `limit` of a person's grants, newest first, those older than `before`.

        With `refusals` they stand among them.
        """
        later = aliased(LedgerEntry)
        follows = and_(
            later.user_id == LedgerEntry.user_id,
            later.consent_type == LedgerEntry.consent_type,
            later.epoch > LedgerEntry.epoch,
        )
        first_later = select(later).where(follows).order_by(later.epoch).limit(1)
        withdrawn = first_later.where(later.kind == literal_column("'withdrawal'"))
        query = (
            select(
                LedgerEntry,
                withdrawn.with_only_columns(later.occurred_at).scalar_subquery(),
                first_later.with_only_columns(later.kind).scalar_subquery(),
            )
            .where(
                LedgerEntry.user_id == user_id,
                LedgerEntry.kind.in_(SAYS_YES_OR_NO if refusals else SAYS_YES),
            )
            .order_by(LedgerEntry.position.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(LedgerEntry.position < before.position)
        return [GrantInHistory(*row) for row in await self._session.execute(query)]

    async def append_grant(self, gate: GateState, terms: GrantTerms) -> GrantRow:
        """Write that the holder of `gate` agrees; the gate is open with the next epoch."""
        entry = _said(gate, terms)
        occurred_at = await self._append(
            gate, entry, ended_epoch=gate.ended_epoch, consent_id=terms.consent_id, until=terms.expires_at
        )
        return _row_of(entry, occurred_at)

    async def append_refusal(self, gate: GateState, terms: GrantTerms) -> GrantRow:
        """Write that the holder of `gate`, which is closed, was asked and said no; it stays closed."""
        entry = _said(gate, terms)
        occurred_at = await self._append(
            gate, entry, ended_epoch=gate.ended_epoch, consent_id=None, until=None
        )
        return _row_of(entry, occurred_at)

    async def append_end(self, kind: EntryKind, gate: GateState, granted: GrantRow) -> datetime:
        """Write that this consent has ended; its gate is closed with the next epoch.

        Returns when, by the database's clock. Raises ValueError for an erased grant.
        """
        entry = _end_of(gate, granted, kind)
        return await self._append(gate, entry, ended_epoch=gate.epoch + 1, consent_id=None, until=None)

    async def _append(
        self,
        gate: GateState,
        entry: dict[str, Any],
        *,
        ended_epoch: int,
        consent_id: UUID | None,
        until: datetime | None,
    ) -> datetime:
        moved = {
            "gate_user": gate.user_id,
            "gate_type": gate.consent_type,
            "gate_epoch": entry["epoch"],
            "gate_ended": ended_epoch,
            "gate_consent": consent_id,
            "gate_until": until,
        }
        written = {f"entry_{column.name}": entry.get(_FIELDS[column.name]) for column in _WRITTEN}
        rows = await statements_of(self._session).fetch(_APPEND, moved | written)
        return cast("datetime", rows[0][0])

    async def append_ends(
        self,
        kind: EntryKind,
        ended: Sequence[tuple[Gate, LedgerEntry]],
        *,
        details: Sequence[str] | None = None,
    ) -> list[datetime]:
        """Write that each of these consents has ended; their gates are closed with the next epoch.

        `details` is JSON that says why, one for each. Returns when, by the database's clock, in their order.
        Raises ValueError for an erased grant.
        """
        reasons: Sequence[str | None] = details or [None] * len(ended)
        rows = [
            _end_of(gate, granted, kind, reason)
            for (gate, granted), reason in zip(ended, reasons, strict=True)
        ]
        for gate, _ in ended:
            gate.epoch += 1
            gate.ended_epoch = gate.epoch
            gate.open_consent_id = gate.open_until = gate.position = None
        written = insert(LedgerEntry).returning(LedgerEntry.occurred_at, sort_by_parameter_order=True)
        return list((await self._session.scalars(written, rows)).all())


def _said(gate: GateState, terms: GrantTerms) -> dict[str, Any]:
    place, residence = terms.resolution.place, terms.resolution.residence
    personal = Personal(
        gate.user_id,
        terms.consent_id,
        details=terms.details,
        country=place.country,
        region=place.region,
        residence=str(residence) or None if residence else None,
        ip_address=terms.ip_address,
    )
    return {
        "kind": terms.kind.value,
        "consent_type": gate.consent_type,
        "jurisdiction": terms.jurisdiction,
        "jurisdictions": list(terms.jurisdictions),
        "consent_text_version": terms.text.version,
        "text_digest": terms.text.sha256,
        "locale": terms.text.locale,
        "ruleset_version": terms.ruleset.version,
        "ruleset_digest": terms.ruleset.digest,
        "epoch": gate.epoch + 1,
        "expires_at": terms.expires_at,
        "source": terms.resolution.source.value,
        "resolved_jurisdictions": list(terms.resolution.jurisdictions),
        "resolved_digests": list(terms.resolved_digests),
        "territories_digest": terms.resolution.territories_digest,
        **_committed(personal),
    }


def _row_of(entry: dict[str, Any], occurred_at: datetime) -> GrantRow:
    named = {name: entry[name] for name in GRANT_FIELDS if name in entry}
    return GrantRow(**named, occurred_at=occurred_at)


def _end_of(
    gate: Gate | GateState, granted: LedgerEntry | GrantRow, kind: EntryKind, details: str | None = None
) -> dict[str, Any]:
    if granted.user_id is None or granted.consent_id is None:
        raise ValueError("an erased grant can't end")
    return {
        "kind": kind.value,
        "consent_type": granted.consent_type,
        "jurisdiction": granted.jurisdiction,
        "jurisdictions": list(granted.jurisdictions),
        "consent_text_version": granted.consent_text_version,
        "text_digest": granted.text_digest,
        "locale": granted.locale,
        "ruleset_version": granted.ruleset_version,
        "ruleset_digest": granted.ruleset_digest,
        "epoch": gate.epoch + 1,
        **_committed(Personal(granted.user_id, granted.consent_id, details=details)),
    }


def _committed(personal: Personal) -> dict[str, Any]:
    """Return the personal fields of an entry with a fresh salt and the commitment to them."""
    salt = secrets.token_bytes(SALT_BYTES)
    return {**vars(personal), "salt": salt, "commitment": personal.commitment(salt)}
