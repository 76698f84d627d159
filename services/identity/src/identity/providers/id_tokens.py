"""Sign in with Apple and with Google: what their id_tokens must say."""

from collections.abc import Callable, Mapping
from typing import Any

from contracts.fields import AuthProvider
from identity.providers.policy import IdentityTokenRefused, ProviderNotOffered
from identity.providers.refusals import logged
from identity.providers.tokens import (
    ProvenIdentity,
    ProviderTokens,
    TokenRefused,
    check_nonce,
    email_of,
    moment_of,
    says_yes,
    subject_of,
)

ISSUERS = {
    AuthProvider.APPLE: ("https://appleid.apple.com", "https://account.apple.com"),
    AuthProvider.GOOGLE: ("https://accounts.google.com", "accounts.google.com"),
}
"""Two names of one issuer: both number people alike, so that a person is kept under the first of them."""
REQUIRED = ("iss", "aud", "sub", "exp", "iat")
_GOOGLE_S_OWN_DOMAINS = ("gmail.com", "googlemail.com")


class IdTokens:
    """Believes the id_tokens of one provider."""

    def __init__(self, provider: AuthProvider, tokens: ProviderTokens, *, audiences: tuple[str, ...]) -> None:
        self._provider = provider
        self._tokens = tokens
        self._audiences = audiences

    async def verify(self, id_token: str, *, nonce: str | None) -> ProvenIdentity:
        """Return whom the token speaks for; raises `IdentityTokenRefused` or `ProviderNotOffered`."""
        if not self._audiences:
            raise ProviderNotOffered
        with logged(self._provider.value, IdentityTokenRefused):
            claims = await self._tokens.read(id_token, required=REQUIRED)
            # A token that was issued to another party's app is not ours to take (OIDC Core §3.1.3.7).
            if claims.get("azp", claims["aud"]) not in self._audiences:
                raise TokenRefused("azp")
            email = email_of(claims)
            return ProvenIdentity(
                provider=self._provider,
                issuer=ISSUERS[self._provider][0],
                subject=subject_of(claims),
                audience=claims["aud"],
                email=email,
                email_proved=email is not None and _SPEAKS_FOR[self._provider](email, claims),
                private_relay=says_yes(claims.get("is_private_email")),
                nonce=check_nonce(claims, nonce),
                issued_at=moment_of(claims, "iat"),
                expires_at=moment_of(claims, "exp"),
            )


def _apple_speaks_for(_: str, claims: Mapping[str, Any]) -> bool:
    return says_yes(claims.get("email_verified"))


def _google_speaks_for(email: str, claims: Mapping[str, Any]) -> bool:
    """Tell whether Google knows whose address this is today.

    It does for its own domains and for hosted ones (`hd`). Any other address was proved once, perhaps long
    ago, and may have changed hands since (Google, "Authenticate with a backend server").
    """
    hosted = claims.get("hd")
    domain = email.rpartition("@")[2].lower()
    own = domain in _GOOGLE_S_OWN_DOMAINS or (isinstance(hosted, str) and bool(hosted))
    return says_yes(claims.get("email_verified")) and own


_SPEAKS_FOR: dict[AuthProvider, Callable[[str, Mapping[str, Any]], bool]] = {
    AuthProvider.APPLE: _apple_speaks_for,
    AuthProvider.GOOGLE: _google_speaks_for,
}
