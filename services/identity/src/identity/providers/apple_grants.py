"""What Apple granted the app: obtained at sign-in, revoked when the person is erased (TN3194)."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from chassis.clock import Clock
from chassis.settings import all_key_bytes
from contracts.fields import AuthProvider
from identity.models import AppleGrant
from identity.providers.id_tokens import REQUIRED
from identity.providers.policy import IdentityTokenRefused
from identity.providers.refusals import logged
from identity.providers.remote import Answer, ProviderClient, ProviderUnavailable
from identity.providers.seal import TokenSeal
from identity.providers.settings import ProviderSettings
from identity.providers.tokens import ProvenIdentity, ProviderTokens, TokenRefused

SECRET_LIFETIME = timedelta(minutes=5)
SECRET_AUDIENCE = "https://appleid.apple.com"  # noqa: S105 - a name
_OK, _BAD_REQUEST = 200, 400

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ObtainedGrant:
    """A refresh token fresh from Apple, not yet anybody's."""

    client_id: str
    refresh_token: SecretStr
    seal: TokenSeal

    def sealed_for(self, user_id: UUID) -> bytes:
        """Return the token as it may be stored for that person and no other."""
        return self.seal.seal(
            self.refresh_token.get_secret_value(),
            user_id=user_id,
            provider=AuthProvider.APPLE.value,
            client_id=self.client_id,
        )


class AppleGrants:
    """Exchanges authorization codes and revokes what came of them.

    Without Apple's credentials nothing is exchanged and so nothing can be revoked; see the README.
    """

    def __init__(
        self, settings: ProviderSettings, client: ProviderClient, tokens: ProviderTokens, clock: Clock
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self._token_url = settings.apple_token_url
        self._revoke_url = settings.apple_revoke_url
        self._credentials = _credentials(settings)
        self._seal = (
            TokenSeal(all_key_bytes(settings.provider_token_key)) if settings.provider_token_key else None
        )

    async def obtain(self, code: str, identity: ProvenIdentity) -> ObtainedGrant | None:
        """Exchange the code that came with `identity`'s token; raises `IdentityTokenRefused` for a bad one.

        Returns None when Apple can't be asked: the token alone proves who the person is, and an outage of an
        address that only a later deletion needs must keep nobody out.
        """
        if self._credentials is None or self._seal is None:
            return None
        form = {"grant_type": "authorization_code", "code": code}
        try:
            answer = await self._post(self._token_url, identity.audience, form)
        except ProviderUnavailable as error:
            log.warning("apple_code_not_exchanged", error=str(error))
            return None
        with logged(AuthProvider.APPLE.value, IdentityTokenRefused):
            return await self._grant_of(answer, identity, self._seal)

    async def _grant_of(
        self, answer: Answer, identity: ProvenIdentity, seal: TokenSeal
    ) -> ObtainedGrant | None:
        if _is_invalid_grant(answer):
            raise TokenRefused("code")
        refresh_token, id_token = answer.document.get("refresh_token"), answer.document.get("id_token")
        if answer.status != _OK or not isinstance(refresh_token, str) or not isinstance(id_token, str):
            log.error("apple_code_not_exchanged", status=answer.status)
            return None
        # Somebody else's code would make this account keep, and one day revoke, what that person granted.
        claims = await self._tokens.read(id_token, required=REQUIRED)
        if (claims["sub"], claims["aud"]) != (identity.subject, identity.audience):
            raise TokenRefused("code of somebody else")
        return ObtainedGrant(identity.audience, SecretStr(refresh_token), seal)

    async def revoke(self, grant: AppleGrant) -> None:
        """Take the grant back at Apple; harmless when repeated.

        A grant that Apple does not know any more counts as revoked. Raises `ProviderUnavailable` for every
        other refusal, which an operator can mend (credentials, key), and `SealBroken`.
        """
        if self._credentials is None or self._seal is None:
            log.error("apple_grant_not_revoked", reason="IDENTITY_APPLE_PRIVATE_KEY is not set")
            raise ProviderUnavailable("no credentials")
        token = self._seal.open(
            grant.sealed_token,
            user_id=grant.user_id,
            provider=AuthProvider.APPLE.value,
            client_id=grant.client_id,
        )
        form = {"token": token, "token_type_hint": "refresh_token"}
        answer = await self._post(self._revoke_url, grant.client_id, form)
        if answer.status != _OK and not _is_invalid_grant(answer):
            log.error("apple_grant_not_revoked", status=answer.status)
            raise ProviderUnavailable(f"the revocation was answered {answer.status}")

    async def _post(self, url: str, client_id: str, form: dict[str, str]) -> Answer:
        if self._credentials is None:
            raise RuntimeError("without credentials nothing is asked")
        secret = self._credentials.client_secret(client_id, self._clock)
        return await self._client.post(url, {**form, "client_id": client_id, "client_secret": secret})


@dataclass(frozen=True)
class _Credentials:
    team_id: str
    key_id: str
    key: EllipticCurvePrivateKey

    def client_secret(self, client_id: str, clock: Clock) -> str:
        """Return the short-lived token that speaks for us at Apple (Apple, "Creating a client secret")."""
        now = clock.now()
        claims = {
            "iss": self.team_id,
            "sub": client_id,
            "aud": SECRET_AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + SECRET_LIFETIME).timestamp()),
        }
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": self.key_id})


def _credentials(settings: ProviderSettings) -> _Credentials | None:
    if not settings.apple_private_key or not settings.apple_team_id or not settings.apple_key_id:
        return None
    key = load_pem_private_key(settings.apple_private_key.get_secret_value().encode(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise TypeError("IDENTITY_APPLE_PRIVATE_KEY must be the EC P-256 key of Sign in with Apple")
    return _Credentials(settings.apple_team_id, settings.apple_key_id, key)


def _is_invalid_grant(answer: Answer) -> bool:
    return answer.status == _BAD_REQUEST and answer.document.get("error") == "invalid_grant"
