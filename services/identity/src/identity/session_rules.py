"""How long sessions and their tokens live, and how many an account may have."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.repositories import LiveSince
from identity.settings import IdentitySettings


@dataclass(frozen=True)
class SessionRules:
    """What the settings say about sessions; `proved_only`: none begins before the address is proved."""

    idle: timedelta
    absolute: timedelta
    repeat: timedelta
    access_token: timedelta
    most: int
    proved_only: bool

    @classmethod
    def of(cls, settings: IdentitySettings) -> "SessionRules":
        """Return the rules that the settings make."""
        return cls(
            idle=settings.refresh_idle,
            absolute=settings.refresh_absolute,
            repeat=settings.refresh_repeat,
            access_token=settings.access_token_lifetime,
            most=settings.sessions_per_account,
            # Whoever could sign in with the password just chosen would learn that the address was free.
            proved_only=settings.registration_disclosure == "conceal",
        )

    def live_since(self, now: datetime) -> LiveSince:
        """Return since when a session must have been used and begun to be live now."""
        return LiveSince(used_after=now - self.idle, created_after=now - self.absolute)
