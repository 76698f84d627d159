"""The rows of the schema `consent`, by what they are about."""

from consent.models.ledger import (
    GATE_POSITIONS,
    SALT_BYTES,
    SCHEMA,
    Base,
    Gate,
    LedgerEntry,
    Personal,
)
from consent.models.log import LogAnchor, LogCheckpoint, LogCosignature, LogLeaf, LogNode, LogQueue
from consent.models.people import Activity, Preferences
from consent.models.uploads import LogUpload

__all__ = [
    "GATE_POSITIONS",
    "SALT_BYTES",
    "SCHEMA",
    "Activity",
    "Base",
    "Gate",
    "LedgerEntry",
    "LogAnchor",
    "LogCheckpoint",
    "LogCosignature",
    "LogLeaf",
    "LogNode",
    "LogQueue",
    "LogUpload",
    "Personal",
    "Preferences",
]
