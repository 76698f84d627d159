"""Every query of identity, by what it is about."""

from identity.repositories.erasures import Erasures
from identity.repositories.keys import SigningKeys
from identity.repositories.mail import MAILS, UNSETTLED, Mails
from identity.repositories.participants import Participants
from identity.repositories.passkeys import PasskeyChallenges, Passkeys
from identity.repositories.providers import AppleGrants, ProviderIdentities, SpentTokens
from identity.repositories.revocations import Revocation, Revocations
from identity.repositories.sessions import LiveSince, SessionEnd, Sessions
from identity.repositories.users import Users

__all__ = [
    "MAILS",
    "UNSETTLED",
    "AppleGrants",
    "Erasures",
    "LiveSince",
    "Mails",
    "Participants",
    "PasskeyChallenges",
    "Passkeys",
    "ProviderIdentities",
    "Revocation",
    "Revocations",
    "SessionEnd",
    "Sessions",
    "SigningKeys",
    "SpentTokens",
    "Users",
]
