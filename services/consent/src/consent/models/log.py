"""The transparency log over the ledger: leaves, the tree above them, and its signed heads."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Identity,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import Moment, on_erase
from consent.models.ledger import Base


def _proof(retention: str) -> About:
    return About(data_class=DataClass.NOBODY, purpose=Purpose.PROOF_OF_CONSENT, retention=retention)


def _kept(why: str) -> dict[str, Any]:
    pruned_by = "kept: a log that loses rows proves nothing"
    return {"info": on_erase(f"retain: {why}", pruned_by=pruned_by, about=_proof("for ever"))}


class LogAnchor(Base):
    """The digest of a document that others keep, so that none can be made up later; written once."""

    __tablename__ = "log_anchors"
    __table_args__ = (
        UniqueConstraint("kind", "digest"),
        _kept("digests of documents that name nobody"),
    )

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    anchored_at: Mapped[datetime] = mapped_column(Moment, server_default=text("clock_timestamp()"))


class LogQueue(Base):
    """What is in no leaf yet; a trigger of `entries` and `log_anchors` writes it in their transactions."""

    __tablename__ = "log_queue"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: positions of entries, which name nobody",
                pruned_by="seal-log",
                about=_proof("until the entry is in a leaf"),
            )
        },
    )

    source: Mapped[str] = mapped_column(String(16), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class LogLeaf(Base):
    """One leaf of the tree: which row it is of, and its hash; the sealer gives the order, written once."""

    __tablename__ = "log_leaves"
    __table_args__ = (
        UniqueConstraint("source", "position"),
        CheckConstraint("source IN ('entry', 'anchor')", name="source_is_known"),
        _kept("positions of entries and hashes of salted commitments, which lead to nobody"),
    )

    leaf_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    source: Mapped[str] = mapped_column(String(16))
    position: Mapped[int] = mapped_column(BigInteger)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary)


class LogNode(Base):
    """The root of a full tile: what the tiles of the level above it are made of; written once."""

    __tablename__ = "log_nodes"
    __table_args__ = (_kept("hashes of hashes"),)

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    node_index: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    node_hash: Mapped[bytes] = mapped_column(LargeBinary)


class LogCheckpoint(Base):
    """The tree at one size, signed in both forms; written once, in the transaction of its leaves."""

    __tablename__ = "log_checkpoints"
    __table_args__ = (_kept("the size and the root of a tree"),)

    tree_size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root_hash: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[datetime] = mapped_column(Moment)
    note: Mapped[str] = mapped_column(Text)
    jws: Mapped[str] = mapped_column(Text)


class LogCosignature(Base):
    """The line with which a witness cosigned a checkpoint; written once."""

    __tablename__ = "log_cosignatures"
    __table_args__ = (_kept("the signature of a witness"),)

    tree_size: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    witness: Mapped[str] = mapped_column(String(255), primary_key=True)
    line: Mapped[str] = mapped_column(Text)
