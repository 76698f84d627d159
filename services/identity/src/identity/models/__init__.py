"""The rows of identity's schema, by what they are about."""

from identity.models.accounts import Session, SessionRevocation, User
from identity.models.base import SCHEMA, Base
from identity.models.erasures import Erasure, ErasureParticipant, Participant

__all__ = [
    "SCHEMA",
    "Base",
    "Erasure",
    "ErasureParticipant",
    "Participant",
    "Session",
    "SessionRevocation",
    "User",
]
