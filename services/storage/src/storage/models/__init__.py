"""The rows of storage's schema, and those of the keyring's, which is a database of its own."""

from storage.models.exports import Export, ExportContributor, ExportFile, ExportPart, ExportSection
from storage.models.photos import (
    KEYRING_SCHEMA,
    SCHEMA,
    Base,
    ConsentGate,
    DataKey,
    Destruction,
    FeedPosition,
    KeyringBase,
    Photo,
    PhotoRead,
    StandingHold,
    UsageCount,
)

__all__ = [
    "KEYRING_SCHEMA",
    "SCHEMA",
    "Base",
    "ConsentGate",
    "DataKey",
    "Destruction",
    "Export",
    "ExportContributor",
    "ExportFile",
    "ExportPart",
    "ExportSection",
    "FeedPosition",
    "KeyringBase",
    "Photo",
    "PhotoRead",
    "StandingHold",
    "UsageCount",
]
