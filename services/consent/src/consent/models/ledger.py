"""The rows of the schema `consent`: a ledger that only grows, its log, and the gates that order entries."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    LargeBinary,
    Sequence,
    String,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis.declarations import DataClass
from chassis.tables import Moment, of_class, on_erase, service_metadata
from consent.transparency.leaves import commitment_to

SCHEMA = "consent"
SALT_BYTES = 32


class Base(DeclarativeBase):
    """The tables of this service, those of the chassis among them."""

    metadata = service_metadata(SCHEMA)


GATE_POSITIONS = Sequence("gate_positions", metadata=Base.metadata)


class LedgerEntry(Base):
    """One grant, renewal, refusal, withdrawal or expiry, written once.

    The service's role may insert and read, and can give neither position nor time: both are the database's.
    The fields that lead to a person can be blanked, by the function `consent.erase_person` alone; the
    commitment to them stays, and without the salt it leads to nobody. What the place was resolved to
    (`source`, `resolved_jurisdictions` with the digest of each one's rules, `territories_digest`) stands in
    what a person said themselves, since it is recorded. A renewal is a grant that follows a live one.
    """

    __tablename__ = "entries"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('grant', 'renewal', 'refusal', 'withdrawal', 'expiry')", name="kind_is_known"
        ),
        CheckConstraint("epoch > 0", name="epoch_is_positive"),
        CheckConstraint("(kind IN ('grant', 'renewal')) = (expires_at IS NOT NULL)", name="grants_expire"),
        CheckConstraint(
            "num_nulls(user_id, consent_id, salt) = 0"
            " OR (num_nulls(user_id, consent_id, salt) = 3"
            " AND num_nonnulls(metadata, country, region, residence, ip_address) = 0)",
            name="whole_or_blank",
        ),
        Index("uq_entries_user_id_consent_type_epoch", "user_id", "consent_type", "epoch", unique=True),
        Index(
            "uq_entries_granted_consent_id",
            "consent_id",
            unique=True,
            postgresql_where=text("kind IN ('grant', 'renewal')"),
        ),
        Index(
            "ix_entries_withdrawals",
            "user_id",
            "consent_type",
            "epoch",
            postgresql_where=text("kind = 'withdrawal'"),
        ),
        Index(
            "ix_entries_grants",
            "user_id",
            "position",
            postgresql_where=text("kind IN ('grant', 'renewal')"),
        ),
        {
            "info": on_erase(
                "retain: what names nobody; the personal columns are blanked",
                pruned_by="kept: the ledger stands as it is, its personal columns blanked by erasure",
            )
        },
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
    occurred_at: Mapped[datetime] = mapped_column(Moment, server_default=text("clock_timestamp()"))
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    source: Mapped[str | None] = mapped_column(String(16))
    resolved_jurisdictions: Mapped[list[str] | None] = mapped_column(ARRAY(String(32)))
    resolved_digests: Mapped[list[str] | None] = mapped_column(ARRAY(String(64)))
    territories_digest: Mapped[str | None] = mapped_column(String(64))
    commitment: Mapped[str] = mapped_column(String(64))

    user_id: Mapped[UUID | None] = mapped_column(Uuid, info=on_erase("null"))
    consent_id: Mapped[UUID | None] = mapped_column(Uuid, info=on_erase("null"))
    # Text, not jsonb: what the person's app sent is kept to the letter, and jsonb refuses some of JSON.
    details: Mapped[str | None] = mapped_column("metadata", Text, info=on_erase("null"))
    country: Mapped[str | None] = mapped_column(String(2), info=on_erase("null"))
    region: Mapped[str | None] = mapped_column(String(3), info=on_erase("null"))
    residence: Mapped[str | None] = mapped_column(String(6), info=on_erase("null"))
    ip_address: Mapped[str | None] = mapped_column(
        String(45), info=on_erase("null") | of_class(DataClass.DEVICE)
    )
    salt: Mapped[bytes | None] = mapped_column(LargeBinary, info=on_erase("null"))

    def holds(self) -> bool:
        """Tell whether the commitment is to the personal fields that stand here; no, once they are blank."""
        personal = self.personal
        if personal is None or self.salt is None:
            return False
        return self.commitment == personal.commitment(self.salt)

    @property
    def personal(self) -> "Personal | None":
        """What leads to the person; None once it is blank."""
        if self.user_id is None or self.consent_id is None:
            return None
        return Personal(
            self.user_id,
            self.consent_id,
            details=self.details,
            country=self.country,
            region=self.region,
            residence=self.residence,
            ip_address=self.ip_address,
        )


@dataclass(frozen=True)
class Personal:
    """What in an entry leads to a person: all that an erasure blanks, beside the salt."""

    user_id: UUID
    consent_id: UUID
    details: str | None = None
    country: str | None = None
    region: str | None = None
    residence: str | None = None
    ip_address: str | None = None

    @property
    def committed(self) -> dict[str, str | None]:
        """These fields as they are committed to."""
        fields: dict[str, str | None] = {
            "consent_id": str(self.consent_id),
            "metadata": self.details,
            "user_id": str(self.user_id),
        }
        # What came later is left out where it is empty, so that older commitments still hold.
        later = {
            "country": self.country,
            "region": self.region,
            "residence": self.residence,
            "ip_address": self.ip_address,
        }
        return fields | {name: value for name, value in later.items() if value is not None}

    def commitment(self, salt: bytes) -> str:
        """Return the commitment to these fields; see `commitment_to`."""
        return commitment_to(self.committed, salt)


class Gate(Base):
    """The lock of one person and consent type, and where their entries have led to.

    Who appends holds this row, so epochs rise one by one, in the order of the entries. Every question is
    answered from it and the one grant that it names; `ended_epoch` is that of the last entry that ended a
    consent, and `open_until` the moment at which the open one lapses. `position` is that of the last
    change in the feed of changes, once that was read.
    """

    __tablename__ = "gates"
    __table_args__ = (
        CheckConstraint("(open_consent_id IS NULL) = (open_until IS NULL)", name="open_until_it_lapses"),
        CheckConstraint("ended_epoch <= epoch", name="ended_by_an_entry"),
        Index(
            "ix_gates_open_until",
            "open_until",
            "user_id",
            "consent_type",
            postgresql_where=text("open_until IS NOT NULL"),
        ),
        Index("ix_gates_changed", "user_id", "consent_type", postgresql_where=text("position IS NULL")),
        {"info": on_erase("delete", pruned_by="erasure")},
    )

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    consent_type: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    ended_epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    open_consent_id: Mapped[UUID | None] = mapped_column(Uuid)
    open_until: Mapped[datetime | None] = mapped_column(Moment)
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
