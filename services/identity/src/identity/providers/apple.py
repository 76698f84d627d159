"""Sign in with Apple: what its id_tokens must say."""

from contracts.fields import AuthProvider
from identity.providers.policy import IdentityTokenRefused, ProviderNotOffered
from identity.providers.refusals import logged
from identity.providers.tokens import (
    ProvenIdentity,
    ProviderTokens,
    check_nonce,
    email_of,
    moment_of,
    says_yes,
    subject_of,
)

ISSUERS = ("https://appleid.apple.com", "https://account.apple.com")
"""Two names of one issuer: both number people alike, so that a person is kept under the first of them."""
_REQUIRED = ("iss", "aud", "sub", "exp", "iat")


class Apple:
    """Believes Apple's id_tokens."""

    def __init__(self, tokens: ProviderTokens, *, audiences: tuple[str, ...]) -> None:
        self._tokens = tokens
        self._audiences = audiences

    async def verify(self, identity_token: str, *, nonce: str | None) -> ProvenIdentity:
        """Return whom the token speaks for; raises `IdentityTokenRefused` or `ProviderNotOffered`."""
        if not self._audiences:
            raise ProviderNotOffered
        with logged(AuthProvider.APPLE.value, IdentityTokenRefused):
            claims = await self._tokens.read(identity_token, required=_REQUIRED)
            email = email_of(claims)
            return ProvenIdentity(
                provider=AuthProvider.APPLE,
                issuer=ISSUERS[0],
                subject=subject_of(claims),
                audience=claims["aud"],
                email=email,
                email_proved=email is not None and says_yes(claims.get("email_verified")),
                private_relay=says_yes(claims.get("is_private_email")),
                nonce=check_nonce(claims, nonce),
                issued_at=moment_of(claims, "iat"),
                expires_at=moment_of(claims, "exp"),
            )
