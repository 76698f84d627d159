"""How long sessions, their tokens and erasures may take, and how many sessions an account may have."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.fields import RevocationReason
from identity.repositories import LiveSince, SessionEnd
from identity.settings import IdentitySettings


@dataclass(frozen=True)
class AccountRules:
    """What the settings say about accounts; `proved_only`: no session begins before the address is proved."""

    idle: timedelta
    absolute: timedelta
    repeat: timedelta
    access_token: timedelta
    most: int
    proved_only: bool
    erasure: timedelta
    processors: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: IdentitySettings) -> "AccountRules":
        """Return the rules that the settings make."""
        return cls(
            idle=timedelta(days=settings.refresh_idle_days),
            absolute=timedelta(days=settings.refresh_absolute_days),
            repeat=timedelta(hours=settings.refresh_repeat_hours),
            access_token=settings.access_token_lifetime,
            most=settings.sessions_per_account,
            # Whoever could sign in with the password just chosen would learn that the address was free.
            proved_only=settings.registration_disclosure == "conceal",
            erasure=timedelta(days=settings.erasure_deadline_days),
            processors=tuple(processor.name for processor in settings.processors),
        )

    def live_since(self, now: datetime) -> LiveSince:
        """Return since when a session must have been used and begun to be live now."""
        return LiveSince(used_after=now - self.idle, created_after=now - self.absolute)

    def session_end(self, reason: RevocationReason, now: datetime) -> SessionEnd:
        """Return why and when sessions end, with how long their access tokens may still be around."""
        return SessionEnd(reason.value, now, self.access_token)
