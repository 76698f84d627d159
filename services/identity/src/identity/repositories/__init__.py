"""Every query of identity, by what it is about."""

from identity.repositories.certificates import Certificates, keep_certificate
from identity.repositories.completion import Completion
from identity.repositories.deletion_requests import DeletionRequests, FrozenAccount
from identity.repositories.erasure_overview import ErasureOverview, Waiting
from identity.repositories.erasure_reports import ErasureReports
from identity.repositories.erasures import Erasures, OldestOpen, OpenErasure
from identity.repositories.evidence import EvidenceBundles
from identity.repositories.holds import Holds, Release, terms_of_hold
from identity.repositories.keys import StoredSigningKeys
from identity.repositories.mail import MAILS, UNSETTLED, Mails, new_mail
from identity.repositories.participants import Participants
from identity.repositories.passkeys import PasskeyChallenges, Passkeys
from identity.repositories.processors import (
    PROCESSOR_REQUESTS,
    UNSETTLED_REQUESTS,
    ProcessorRequests,
    new_processor_request,
)
from identity.repositories.providers import AppleGrants, ProviderIdentities, SpentTokens
from identity.repositories.revocations import Revocation, Revocations
from identity.repositories.sessions import LiveSince, OpenSession, SessionEnd, Sessions
from identity.repositories.users import Account, Users

__all__ = [
    "MAILS",
    "PROCESSOR_REQUESTS",
    "UNSETTLED",
    "UNSETTLED_REQUESTS",
    "Account",
    "AppleGrants",
    "Certificates",
    "Completion",
    "DeletionRequests",
    "ErasureOverview",
    "ErasureReports",
    "Erasures",
    "EvidenceBundles",
    "FrozenAccount",
    "Holds",
    "LiveSince",
    "Mails",
    "OldestOpen",
    "OpenErasure",
    "OpenSession",
    "Participants",
    "PasskeyChallenges",
    "Passkeys",
    "ProcessorRequests",
    "ProviderIdentities",
    "Release",
    "Revocation",
    "Revocations",
    "SessionEnd",
    "Sessions",
    "SpentTokens",
    "StoredSigningKeys",
    "Users",
    "Waiting",
    "keep_certificate",
    "new_mail",
    "new_processor_request",
    "terms_of_hold",
]
