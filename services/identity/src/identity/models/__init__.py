"""The rows of identity's schema, by what they are about."""

from identity.models.accounts import Session, SessionRevocation, User
from identity.models.base import SCHEMA, Base
from identity.models.certificates import CertificateKey, ErasureCertificate
from identity.models.erasures import DeletionRequest, Erasure, ErasureParticipant, Participant
from identity.models.evidence import EvidenceBundle
from identity.models.holds import ErasureHold
from identity.models.keys import StoredSigningKey
from identity.models.mail import Mail, MailToken
from identity.models.passkeys import Passkey, PasskeyChallenge
from identity.models.processors import ProcessorRequest
from identity.models.providers import AppleGrant, ProviderIdentity, SpentToken

__all__ = [
    "SCHEMA",
    "AppleGrant",
    "Base",
    "CertificateKey",
    "DeletionRequest",
    "Erasure",
    "ErasureCertificate",
    "ErasureHold",
    "ErasureParticipant",
    "EvidenceBundle",
    "Mail",
    "MailToken",
    "Participant",
    "Passkey",
    "PasskeyChallenge",
    "ProcessorRequest",
    "ProviderIdentity",
    "Session",
    "SessionRevocation",
    "SpentToken",
    "StoredSigningKey",
    "User",
]
