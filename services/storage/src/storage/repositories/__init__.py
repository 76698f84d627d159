"""Every query of storage, by what it is about."""

from storage.repositories.data_keys import DataKeys, StoredKey
from storage.repositories.destructions import DESTRUCTIONS, Destructions
from storage.repositories.gates import FeedPositions, Gates, take_over
from storage.repositories.photos import Photos

__all__ = [
    "DESTRUCTIONS",
    "DataKeys",
    "Destructions",
    "FeedPositions",
    "Gates",
    "Photos",
    "StoredKey",
    "take_over",
]
