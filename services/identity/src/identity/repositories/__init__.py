"""Every query of identity, by what it is about."""

from identity.repositories.erasures import Erasures
from identity.repositories.keys import SigningKeys
from identity.repositories.mail import Mails
from identity.repositories.participants import Participants
from identity.repositories.passkeys import PasskeyChallenges, Passkeys
from identity.repositories.providers import AppleGrants, ProviderIdentities, SpentTokens
from identity.repositories.sessions import Sessions
from identity.repositories.users import Users

__all__ = [
    "AppleGrants",
    "Erasures",
    "Mails",
    "Participants",
    "PasskeyChallenges",
    "Passkeys",
    "ProviderIdentities",
    "Sessions",
    "SigningKeys",
    "SpentTokens",
    "Users",
]
