"""What the routes of accounts and sessions take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr

from chassis.requests import RequestBody
from identity.addresses import EMAIL_MAX_LENGTH, checked_email
from identity.policy import PASSWORD_MAX_LENGTH, normalised_password

MOST_GENERATIONS = 2**31 - 1

TypedEmail = Annotated[
    str,
    Field(max_length=EMAIL_MAX_LENGTH, json_schema_extra={"format": "email"}),
    AfterValidator(checked_email),
]


def _counted_as_hashed(typed: Any) -> Any:
    # A composed character is one, however the keyboard sent it.
    return normalised_password(typed) if isinstance(typed, str) else typed


NewPassword = Annotated[
    SecretStr,
    BeforeValidator(_counted_as_hashed),
    Field(min_length=8, max_length=PASSWORD_MAX_LENGTH, examples=["nine quiet herons at dusk"]),
]


class Registration(RequestBody):
    """A new account."""

    email: TypedEmail
    password: NewPassword


class Credentials(RequestBody):
    """What signs a person in."""

    email: Annotated[str, Field(max_length=EMAIL_MAX_LENGTH)]
    password: Annotated[SecretStr, Field(max_length=1024, examples=["seven blue irises"])]


CurrentPassword = Annotated[SecretStr, Field(max_length=1024, examples=["seven blue irises"])]


class PasswordChangeRequest(RequestBody):
    """The password that is and the one that shall be."""

    current_password: CurrentPassword
    new_password: NewPassword


class AccountChange(RequestBody):
    """What of the account shall change; the address changes when it is confirmed."""

    email: TypedEmail


class SessionRead(BaseModel):
    """A signed-in device."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str | None = Field(examples=["IrisVue/2.4 (iPhone; iOS 20.1)"])
    ip: str | None = Field(
        description="The network of the address, never the whole of it.", examples=["192.0.2.0/24"]
    )
    current: bool


class SessionList(BaseModel):
    """A page of the person's signed-in devices, the latest used first; `total` counts all of them."""

    sessions: list[SessionRead]
    total: int
    page: int
    page_size: int


class RefreshRequest(RequestBody):
    """A refresh token to exchange."""

    refresh_token: Annotated[SecretStr, Field(max_length=512, examples=["an-opaque-refresh-token"])]


class LogoutRequest(RequestBody):
    """Which session to end; without a token it is the caller's."""

    refresh_token: (
        Annotated[SecretStr, Field(max_length=512, examples=["an-opaque-refresh-token"])] | None
    ) = None


class UserRead(BaseModel):
    """An account, as its owner sees it."""

    id: UUID
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    is_active: bool
    is_verified: bool
    created_at: datetime
    auth_provider: str = Field(examples=["email"])
    updated_at: datetime


class TokenResponse(BaseModel):
    """A signed-in session."""

    access_token: str = Field(examples=["header.claims.signature"])
    refresh_token: str = Field(examples=["an-opaque-refresh-token"])
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the token's type, by RFC 6750
    expires_in: int = Field(description="Seconds until the access token expires.", examples=[1800])


class MessageResponse(BaseModel):
    """A sentence for the person."""

    message: str = Field(examples=["Your account is closed and everything in it is being erased."])


class RevocationRead(BaseModel):
    """A session whose access tokens are to be refused, for `expires_in` seconds more at least."""

    session_id: UUID
    revoked_at: datetime
    expires_in: float


class RevocationPage(BaseModel):
    """Revocations after the asked position, oldest first; `complete` when nothing more waits after them."""

    position: int
    revocations: list[RevocationRead]
    complete: bool


class SeenToken(RequestBody):
    """A session and the generation whose access token was used."""

    session_id: UUID
    generation: Annotated[int, Field(ge=1, le=MOST_GENERATIONS, strict=True)]


class SeenTokens(RequestBody):
    """Access tokens that were used for the first time."""

    seen: Annotated[list[SeenToken], Field(max_length=1000)]
