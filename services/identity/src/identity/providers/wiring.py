"""Sign-in with Apple and Google by the id_tokens of their native libraries."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chassis.clock import Clock
from identity.providers import apple, google
from identity.providers.apple import Apple
from identity.providers.apple_grants import AppleGrants
from identity.providers.apple_notices import AppleNotices
from identity.providers.google import Google
from identity.providers.jwks import ProviderKeys
from identity.providers.remote import ProviderClient
from identity.providers.settings import ProviderSettings
from identity.providers.tokens import ProviderTokens


@dataclass(frozen=True)
class Providers:
    """Everything that speaks to, or believes, a provider."""

    apple: Apple
    apple_grants: AppleGrants
    apple_notices: AppleNotices
    google: Google


@asynccontextmanager
async def open_providers(settings: ProviderSettings, clock: Clock) -> AsyncIterator[Providers]:
    """Build the providers; nothing is asked of them before the first sign-in."""
    async with ProviderClient(seconds=settings.provider_seconds) as client:
        apple_tokens = ProviderTokens(
            ProviderKeys(client, settings.apple_jwks_url),
            issuers=apple.ISSUERS,
            audiences=settings.apple_audiences,
            clock=clock,
        )
        google_tokens = ProviderTokens(
            ProviderKeys(client, settings.google_jwks_url),
            issuers=google.ISSUERS,
            audiences=settings.google_audiences,
            clock=clock,
        )
        yield Providers(
            apple=Apple(apple_tokens, audiences=settings.apple_audiences),
            apple_grants=AppleGrants(settings, client, apple_tokens, clock),
            apple_notices=AppleNotices(apple_tokens, audiences=settings.apple_audiences),
            google=Google(google_tokens, audiences=settings.google_audiences),
        )
