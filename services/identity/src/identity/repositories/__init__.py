"""Every query of identity, by what it is about."""

from identity.repositories.erasures import Erasures
from identity.repositories.participants import Participants
from identity.repositories.sessions import Sessions
from identity.repositories.users import Users

__all__ = ["Erasures", "Participants", "Sessions", "Users"]
