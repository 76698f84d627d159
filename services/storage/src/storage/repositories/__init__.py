"""Every query of storage, by what it is about."""

from storage.repositories.data_keys import DataKeys, StoredKey
from storage.repositories.destructions import DESTRUCTIONS, Destructions
from storage.repositories.exports import (
    EXPORTS,
    PENDING,
    ArchiveRows,
    Contributors,
    ExportedPhotos,
    Exports,
    Sections,
    every_section_is_there,
)
from storage.repositories.gates import FeedPositions, Gates, take_over
from storage.repositories.photos import Photos

__all__ = [
    "DESTRUCTIONS",
    "EXPORTS",
    "PENDING",
    "ArchiveRows",
    "Contributors",
    "DataKeys",
    "Destructions",
    "ExportedPhotos",
    "Exports",
    "FeedPositions",
    "Gates",
    "Photos",
    "Sections",
    "StoredKey",
    "every_section_is_there",
    "take_over",
]
