"""Give a person the receipt of what they said last about a consent."""

import base64
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from chassis.db import Database
from consent.models import LedgerEntry
from consent.receipts import Issuer, receipt_id
from consent.repositories import Ledger
from consent.repositories.transparency_log import LEAF_COLUMNS, leaf_of_entry
from consent.transparency.keys import LogKeys
from consent.transparency.receipts import RECEIPT_TYPE
from consent.use_cases.prove_inclusion import Inclusion, prove_inclusion
from consent.use_cases.withdraw_consent import ConsentNotFound


class ReceiptOf(StrEnum):
    """Which entry about a consent a receipt tells of."""

    NEWEST = "newest"
    GRANT = "grant"


@dataclass(frozen=True)
class Receipt:
    """The claims, and the compact JWS of them (RFC 7515 §3.1)."""

    claims: dict[str, Any]
    token: str


async def show_receipt(
    database: Database,
    *,
    user_id: UUID,
    consent_id: UUID,
    of: ReceiptOf = ReceiptOf.NEWEST,
    issuer: Issuer,
    keys: LogKeys,
    now: datetime,
) -> Receipt | None:
    """Return the signed receipt of that consent's newest entry, or its grant; None until that is sealed.

    A refusal counts as a grant here. Raises `ConsentNotFound`, also for someone whose erasure has begun.
    """
    async with database.unit_of_work() as uow:
        ledger = Ledger(uow.session)
        find = ledger.said if of is ReceiptOf.GRANT else ledger.newest
        entry = None if await uow.is_erased(user_id) else await find(user_id, consent_id)
        if entry is None:
            raise ConsentNotFound
    return await sign_receipt(database, entry, issuer=issuer, keys=keys, now=now)


async def sign_receipt(
    database: Database, entry: LedgerEntry, *, issuer: Issuer, keys: LogKeys, now: datetime
) -> Receipt | None:
    """Return the signed receipt of an entry that is not blank; None until it is sealed."""
    inclusion = await prove_inclusion(database, entry.position)
    if inclusion is None:
        return None
    leaf = leaf_of_entry({column.name: getattr(entry, column.name) for column in LEAF_COLUMNS})
    claims = {
        **issuer.record(entry),
        "jti": receipt_id(leaf),
        "iat": int(now.timestamp()),
        "log": _log_claims(entry, leaf, inclusion, origin=keys.origin),
    }
    return Receipt(claims, keys.sign(claims, token_type=RECEIPT_TYPE))


def _log_claims(entry: LedgerEntry, leaf: bytes, inclusion: Inclusion, *, origin: str) -> dict[str, Any]:
    """Return what lets anybody check that the entry is in the log, and what its commitment is to."""
    if entry.personal is None or entry.salt is None:
        raise ValueError("a blanked entry has no receipt")
    return {
        "origin": origin,
        "leaf": leaf.decode(),
        "leaf_index": inclusion.leaf_index,
        "proof": [base64.b64encode(node).decode() for node in inclusion.proof],
        "checkpoint": inclusion.checkpoint.note,
        "salt": entry.salt.hex(),
        "committed": entry.personal.committed,
    }
