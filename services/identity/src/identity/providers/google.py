"""Sign in with Google: what its id_tokens must say."""

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

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_OWN_DOMAINS = ("gmail.com", "googlemail.com")
_REQUIRED = ("iss", "aud", "sub", "exp", "iat")


class Google:
    """Believes Google's id_tokens."""

    def __init__(self, tokens: ProviderTokens, *, audiences: tuple[str, ...]) -> None:
        self._tokens = tokens
        self._audiences = audiences

    async def verify(self, id_token: str, *, nonce: str | None) -> ProvenIdentity:
        """Return whom the token speaks for; raises `IdentityTokenRefused` or `ProviderNotOffered`."""
        if not self._audiences:
            raise ProviderNotOffered
        with logged(AuthProvider.GOOGLE.value, IdentityTokenRefused):
            claims = await self._tokens.read(id_token, required=_REQUIRED)
            # A token that was issued to another party's app is not ours to take (OIDC Core §3.1.3.7).
            if claims.get("azp", claims["aud"]) not in self._audiences:
                raise TokenRefused("azp")
            email = email_of(claims)
            return ProvenIdentity(
                provider=AuthProvider.GOOGLE,
                issuer=ISSUERS[0],
                subject=subject_of(claims),
                audience=claims["aud"],
                email=email,
                email_proved=email is not None and _speaks_for(email, claims),
                private_relay=False,
                nonce=check_nonce(claims, nonce),
                issued_at=moment_of(claims, "iat"),
                expires_at=moment_of(claims, "exp"),
            )


def _speaks_for(email: str, claims: dict[str, object]) -> bool:
    """Tell whether Google knows whose address this is today.

    It does for its own domains and for hosted ones (`hd`). Any other address was proved once, perhaps long
    ago, and may have changed hands since (Google, "Authenticate with a backend server").
    """
    hosted = claims.get("hd")
    domain = email.rpartition("@")[2].lower()
    own = domain in _OWN_DOMAINS or (isinstance(hosted, str) and bool(hosted))
    return says_yes(claims.get("email_verified")) and own
