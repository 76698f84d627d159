"""Every query of the consent service."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import SALT_BYTES, Gate, LedgerEntry, commitment
from consent.policy import EntryKind
from consent.rulebook import ConsentText, Ruleset


class Ledger:
    """The entries: what was agreed to and what was withdrawn."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_person(self, user_id: UUID, consent_type: str | None = None) -> Sequence[LedgerEntry]:
        """Return one person's entries, all or those of one type, in one snapshot."""
        query = select(LedgerEntry).where(LedgerEntry.user_id == user_id)
        if consent_type is not None:
            query = query.where(LedgerEntry.consent_type == consent_type)
        return (await self._session.scalars(query)).all()

    async def grant(self, user_id: UUID, consent_id: UUID) -> LedgerEntry | None:
        """Return the grant with that id if it is that person's."""
        query = select(LedgerEntry).where(
            LedgerEntry.consent_id == consent_id,
            LedgerEntry.user_id == user_id,
            LedgerEntry.kind == EntryKind.GRANT,
        )
        return await self._session.scalar(query)

    async def append_grant(
        self,
        gate: Gate,
        *,
        consent_id: UUID,
        jurisdiction: str,
        text: ConsentText,
        ruleset: Ruleset,
        details: str | None,
        at: datetime,
        expires_at: datetime,
    ) -> LedgerEntry:
        """Write that the holder of `gate` agrees; the gate is open with the next epoch."""
        gate.epoch += 1
        gate.open_consent_id = consent_id
        salt = secrets.token_bytes(SALT_BYTES)
        entry = LedgerEntry(
            kind=EntryKind.GRANT.value,
            consent_type=gate.consent_type,
            jurisdiction=jurisdiction,
            jurisdictions=list(ruleset.covers),
            consent_text_version=text.version,
            text_digest=text.sha256,
            locale=text.locale,
            ruleset_version=ruleset.version,
            ruleset_digest=ruleset.digest,
            epoch=gate.epoch,
            occurred_at=at,
            expires_at=expires_at,
            user_id=gate.user_id,
            consent_id=consent_id,
            details=details,
            salt=salt,
            commitment=commitment(salt, user_id=gate.user_id, consent_id=consent_id, details=details),
        )
        self._session.add(entry)
        return entry

    async def append_withdrawal(self, gate: Gate, granted: LedgerEntry, *, at: datetime) -> LedgerEntry:
        """Write that the holder of `gate` no longer agrees; the gate is closed with the next epoch."""
        if granted.user_id is None or granted.consent_id is None:
            raise ValueError("an erased grant can't be withdrawn")
        gate.epoch += 1
        gate.open_consent_id = None
        salt = secrets.token_bytes(SALT_BYTES)
        entry = LedgerEntry(
            kind=EntryKind.WITHDRAWAL.value,
            consent_type=granted.consent_type,
            jurisdiction=granted.jurisdiction,
            jurisdictions=list(granted.jurisdictions),
            consent_text_version=granted.consent_text_version,
            text_digest=granted.text_digest,
            locale=granted.locale,
            ruleset_version=granted.ruleset_version,
            ruleset_digest=granted.ruleset_digest,
            epoch=gate.epoch,
            occurred_at=at,
            user_id=granted.user_id,
            consent_id=granted.consent_id,
            salt=salt,
            commitment=commitment(salt, user_id=granted.user_id, consent_id=granted.consent_id, details=None),
        )
        self._session.add(entry)
        return entry

    async def count(self, user_id: UUID) -> int:
        """Return how many entries lead to that person."""
        query = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.user_id == user_id)
        return int(await self._session.scalar(query) or 0)

    async def erase_person(self, user_id: UUID) -> int:
        """Blank everything that leads to that person; return how many entries were blanked."""
        # This role has no right to update entries: the function is the only way, and blanking is all it does.
        return int(
            await self._session.scalar(sql("SELECT consent.erase_person(:person)"), {"person": user_id}) or 0
        )


class Gates:
    """The locks that put one person's entries of a type in order."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def hold(self, user_id: UUID, consent_type: str) -> Gate:
        """Lock the gate until the transaction ends, made at epoch 0 if it is the first time."""
        await self._session.execute(
            insert(Gate).values(user_id=user_id, consent_type=consent_type, epoch=0).on_conflict_do_nothing()
        )
        query = (
            select(Gate)
            .where(Gate.user_id == user_id, Gate.consent_type == consent_type)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(query)).one()

    async def count(self, user_id: UUID) -> int:
        """Return how many gates there are of that person."""
        query = select(func.count()).select_from(Gate).where(Gate.user_id == user_id)
        return int(await self._session.scalar(query) or 0)

    async def delete_of(self, user_id: UUID) -> None:
        """Delete the gates of that person."""
        await self._session.execute(delete(Gate).where(Gate.user_id == user_id))
