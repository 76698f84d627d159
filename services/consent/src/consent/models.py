"""The rows of the schema `consent`: a ledger that only grows, and the gates that put its entries in order."""

import hashlib
import json
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, LargeBinary, String, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis.tables import Moment, on_erase, service_metadata

SCHEMA = "consent"
SALT_BYTES = 32


class Base(DeclarativeBase):
    """The tables of this service, those of the chassis among them."""

    metadata = service_metadata(SCHEMA)


class LedgerEntry(Base):
    """One grant or withdrawal, written once.

    The service's role may insert and read. The fields that lead to a person can be blanked, by the function
    `consent.erase_person` alone; the commitment to them stays, and without the salt it leads to nobody.
    """

    __tablename__ = "entries"
    __table_args__ = (
        CheckConstraint("kind IN ('grant', 'withdrawal')", name="kind_is_known"),
        CheckConstraint("epoch > 0", name="epoch_is_positive"),
        CheckConstraint("(kind = 'grant') = (expires_at IS NOT NULL)", name="grants_expire"),
        CheckConstraint(
            "num_nulls(user_id, consent_id, salt) = 0"
            " OR (num_nulls(user_id, consent_id, salt) = 3 AND metadata IS NULL)",
            name="whole_or_blank",
        ),
        Index("uq_entries_user_id_consent_type_epoch", "user_id", "consent_type", "epoch", unique=True),
        Index(
            "uq_entries_granted_consent_id",
            "consent_id",
            unique=True,
            postgresql_where=text("kind = 'grant'"),
        ),
        {"info": on_erase("retain: what names nobody; the personal columns are blanked")},
    )

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    consent_type: Mapped[str] = mapped_column(String(32))
    jurisdiction: Mapped[str] = mapped_column(String(32))
    jurisdictions: Mapped[list[str]] = mapped_column(ARRAY(String(32)))
    consent_text_version: Mapped[str] = mapped_column(String(32))
    text_digest: Mapped[str] = mapped_column(String(64))
    locale: Mapped[str] = mapped_column(String(35))
    ruleset_version: Mapped[str] = mapped_column(String(32))
    ruleset_digest: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    commitment: Mapped[str] = mapped_column(String(64))

    user_id: Mapped[UUID | None] = mapped_column(Uuid, info=on_erase("null"))
    consent_id: Mapped[UUID | None] = mapped_column(Uuid, info=on_erase("null"))
    # Text, not jsonb: what the person's app sent is kept to the letter, and jsonb refuses some of JSON.
    details: Mapped[str | None] = mapped_column("metadata", Text, info=on_erase("null"))
    salt: Mapped[bytes | None] = mapped_column(LargeBinary, info=on_erase("null"))

    def holds(self) -> bool:
        """Tell whether the commitment is to the personal fields that stand here; no, once they are blank."""
        if self.user_id is None or self.consent_id is None or self.salt is None:
            return False
        return self.commitment == commitment(
            self.salt, user_id=self.user_id, consent_id=self.consent_id, details=self.details
        )


def commitment(salt: bytes, *, user_id: UUID, consent_id: UUID, details: str | None) -> str:
    """Return the SHA-256, in hex, over the salt and the canonical JSON of the personal fields."""
    personal = {"consent_id": str(consent_id), "metadata": details, "user_id": str(user_id)}
    canonical = json.dumps(personal, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(salt + canonical.encode()).hexdigest()


class Gate(Base):
    """The lock of one person and consent type, and the epoch of its last entry.

    Who appends holds this row, so epochs rise one by one and events leave in the order of the entries.
    """

    __tablename__ = "gates"
    __table_args__ = ({"info": on_erase("delete")},)

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    consent_type: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    open_consent_id: Mapped[UUID | None] = mapped_column(Uuid)
