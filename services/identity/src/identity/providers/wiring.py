"""Sign-in with Apple and Google by the id_tokens of their native libraries."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chassis.clock import Clock
from contracts.fields import AuthProvider
from identity.providers.apple_grants import AppleGrants
from identity.providers.apple_notices import AppleNotices
from identity.providers.id_tokens import ISSUERS, IdTokens
from identity.providers.jwks import ProviderKeys
from identity.providers.remote import ProviderClient
from identity.providers.settings import ProviderSettings
from identity.providers.tokens import ProviderTokens


@dataclass(frozen=True)
class Providers:
    """Everything that speaks to, or believes, a provider."""

    apple: IdTokens
    apple_grants: AppleGrants
    apple_notices: AppleNotices
    google: IdTokens


@asynccontextmanager
async def open_providers(settings: ProviderSettings, clock: Clock) -> AsyncIterator[Providers]:
    """Build the providers; nothing is asked of them before the first sign-in."""
    async with ProviderClient(seconds=settings.provider_seconds) as client:

        def tokens(provider: AuthProvider, url: str, audiences: tuple[str, ...]) -> ProviderTokens:
            keys = ProviderKeys(client, url)
            return ProviderTokens(keys, issuers=ISSUERS[provider], audiences=audiences, clock=clock)

        for_apple, for_google = settings.apple_audiences, settings.google_audiences
        apple = tokens(AuthProvider.APPLE, settings.apple_jwks_url, for_apple)
        google = tokens(AuthProvider.GOOGLE, settings.google_jwks_url, for_google)
        yield Providers(
            apple=IdTokens(AuthProvider.APPLE, apple, audiences=for_apple),
            apple_grants=AppleGrants(settings, client, apple, clock),
            apple_notices=AppleNotices(apple, audiences=for_apple),
            google=IdTokens(AuthProvider.GOOGLE, google, audiences=for_google),
        )
