"""What the routes of Apple and Google take and give."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from chassis.requests import RequestBody
from identity.providers.policy import PROVIDER_TOKEN_MAX_LENGTH


class AppleSignIn(RequestBody):
    """What Sign in with Apple gave the app; `nonce` is the text whose SHA-256, in hex, Apple was given."""

    identity_token: Annotated[
        SecretStr, Field(max_length=PROVIDER_TOKEN_MAX_LENGTH, examples=["header.claims.signature"])
    ]
    authorization_code: Annotated[SecretStr, Field(min_length=1, max_length=1024)] | None = None
    nonce: Annotated[SecretStr, Field(min_length=1, max_length=512)] | None = None


class GoogleSignIn(RequestBody):
    """What Sign in with Google gave the app; `nonce` is the text whose SHA-256, in hex, Google was given."""

    id_token: Annotated[
        SecretStr, Field(max_length=PROVIDER_TOKEN_MAX_LENGTH, examples=["header.claims.signature"])
    ]
    nonce: Annotated[SecretStr, Field(min_length=1, max_length=512)] | None = None


class AppleNotification(RequestBody):
    """A notice of Apple's server: a signed token."""

    payload: Annotated[
        SecretStr, Field(max_length=PROVIDER_TOKEN_MAX_LENGTH, examples=["header.claims.signature"])
    ]


class ProviderRead(BaseModel):
    """A provider that opens the account."""

    provider: str = Field(examples=["apple"])
    linked_at: datetime


class ProviderList(BaseModel):
    """The providers that open the account, the oldest first."""

    providers: list[ProviderRead]
