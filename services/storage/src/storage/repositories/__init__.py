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
from storage.repositories.reads import PhotoReads
from storage.repositories.usages import Usages
from storage.repositories.withdrawn_photos import WithdrawnPhotos

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
    "PhotoReads",
    "Photos",
    "Sections",
    "StoredKey",
    "Usages",
    "WithdrawnPhotos",
    "every_section_is_there",
    "take_over",
]
