"""Settings of sign-in with Apple and Google; without audiences a provider is switched off."""

import json
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from chassis.settings import HexKeys, PemKey, StatefulSettings


def _as_list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _empty_is_none(value: Any) -> Any:
    # Compose hands an unset variable on as an empty one.
    return None if value == "" else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_as_list)]
OptionalName = Annotated[str | None, BeforeValidator(_empty_is_none)]


class ProviderSettings(StatefulSettings):
    """What identity needs to believe Apple and Google."""

    apple_audiences: Names = Field(
        default=(), description="Bundle ids and service ids of the app, as a comma or JSON list."
    )
    google_audiences: Names = Field(
        default=(), description="Every OAuth client id of the app, as a comma or JSON list."
    )
    apple_team_id: OptionalName = Field(
        default=None, description="Apple developer team; with the next two, deletions are told to Apple."
    )
    apple_key_id: OptionalName = Field(default=None, description="Id of the key of Sign in with Apple.")
    apple_private_key: Annotated[PemKey | None, BeforeValidator(_empty_is_none)] = Field(
        default=None, description="EC P-256 key of Sign in with Apple, to exchange codes and to revoke."
    )
    provider_token_key: Annotated[HexKeys | None, BeforeValidator(_empty_is_none)] = Field(
        default=None,
        description="Seals the refresh tokens that Apple gave us; older keys behind a comma still open.",
    )
    apple_jwks_url: str = Field(
        default="https://appleid.apple.com/auth/keys", description="Apple's signing keys."
    )
    apple_token_url: str = Field(
        default="https://appleid.apple.com/auth/token", description="Where Apple exchanges codes."
    )
    apple_revoke_url: str = Field(
        default="https://appleid.apple.com/auth/revoke", description="Where Apple takes back what it granted."
    )
    google_jwks_url: str = Field(
        default="https://www.googleapis.com/oauth2/v3/certs", description="Google's signing keys."
    )
    provider_seconds: float = Field(
        default=2.0, gt=0, le=2.0, description="How long a provider may take; two calls fit into an answer."
    )

    @model_validator(mode="after")
    def _apple_credentials_are_whole(self) -> Self:
        parts = (self.apple_team_id, self.apple_key_id, self.apple_private_key)
        if any(parts) and not all((*parts, self.provider_token_key)):
            raise ValueError(
                "apple_team_id, apple_key_id, apple_private_key and provider_token_key belong together"
            )
        return self

    @model_validator(mode="after")
    def _providers_are_reached_safely(self) -> Self:
        urls = (self.apple_jwks_url, self.apple_token_url, self.apple_revoke_url, self.google_jwks_url)
        if self.environment == "production" and not all(url.startswith("https://") for url in urls):
            raise ValueError("addresses of providers must begin with https:// in production")
        return self
