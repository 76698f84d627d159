"""What the passkey routes take and give; the names are those of WebAuthn Level 3 §5.1."""

import base64
import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from chassis.requests import RequestBody
from identity.passkeys.policy import NAME_MAX_LENGTH

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_TRANSPORTS = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")
# The specification's own limit for credential ids (§4) and for user handles (§5.4.3); the others are several
# times what authenticators send.
CREDENTIAL_ID_BYTES = 1023
USER_HANDLE_BYTES = 64
SIGNATURE_BYTES = 1024
CLIENT_DATA_BYTES = 4096
AUTHENTICATOR_DATA_BYTES = 4096
ATTESTATION_BYTES = 16_384


def _decoded(value: Any) -> bytes:
    if not isinstance(value, str) or not _ALPHABET.fullmatch(value) or len(value) % 4 == 1:
        raise ValueError("must be base64url without padding")
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def encoded(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _known_transports(value: Any) -> list[str]:
    # A hint for the next ceremony; what a newer client adds is not an error (§5.8.4).
    return [name for name in _TRANSPORTS if name in value] if isinstance(value, list) else []


def _presentable(name: str) -> str:
    name = name.strip()
    if not name or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise ValueError("must have visible characters only")
    return name


Base64Url = Annotated[
    bytes,
    BeforeValidator(_decoded),
    WithJsonSchema(
        {"type": "string", "format": "base64url", "pattern": "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,4})$"}
    ),
]
CredentialId = Annotated[Base64Url, Field(max_length=CREDENTIAL_ID_BYTES)]
ClientData = Annotated[Base64Url, Field(alias="clientDataJSON", max_length=CLIENT_DATA_BYTES)]


CREATION_OPTIONS: dict[str, Any] = {
    "rp": {"id": "irisvue.example", "name": "IrisVue"},
    "user": {"id": "AQIDBA", "name": "anna@example.com", "displayName": "anna@example.com"},
    "challenge": "AQIDBA",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    "timeout": 300_000,
    "excludeCredentials": [],
    "authenticatorSelection": {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    },
    "attestation": "none",
}
REQUEST_OPTIONS: dict[str, Any] = {
    "challenge": "AQIDBA",
    "timeout": 300_000,
    "rpId": "irisvue.example",
    "allowCredentials": [],
    "userVerification": "required",
}


class CredentialAnswer(RequestBody):
    """What an authenticator's answer has in common for both ceremonies."""

    id: CredentialId
    raw_id: Annotated[CredentialId, Field(alias="rawId")]
    type: Literal["public-key"]

    @model_validator(mode="after")
    def _ids_agree(self) -> Self:
        if self.id != self.raw_id:
            raise ValueError("id and rawId must be the same")
        return self


class AttestationResponse(RequestBody):
    """AuthenticatorAttestationResponseJSON."""

    client_data_json: ClientData
    attestation_object: Annotated[Base64Url, Field(alias="attestationObject", max_length=ATTESTATION_BYTES)]
    transports: Annotated[
        tuple[str, ...],
        BeforeValidator(_known_transports),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "examples": [["internal", "hybrid"]]}),
    ] = ()


class RegistrationAnswer(CredentialAnswer):
    """RegistrationResponseJSON, as `PublicKeyCredential.toJSON()` gives it after `create()`."""

    response: AttestationResponse
    name: Annotated[
        Annotated[str, AfterValidator(_presentable), Field(max_length=NAME_MAX_LENGTH)] | None,
        Field(
            description="What the owner calls the passkey; optional and not part of WebAuthn.",
            examples=["Anna's phone"],
        ),
    ] = None


class AssertionResponse(RequestBody):
    """AuthenticatorAssertionResponseJSON."""

    client_data_json: ClientData
    authenticator_data: Annotated[
        Base64Url, Field(alias="authenticatorData", max_length=AUTHENTICATOR_DATA_BYTES)
    ]
    signature: Annotated[Base64Url, Field(max_length=SIGNATURE_BYTES)]
    user_handle: Annotated[
        Annotated[Base64Url, Field(max_length=USER_HANDLE_BYTES)] | None, Field(alias="userHandle")
    ] = None


class AuthenticationAnswer(CredentialAnswer):
    """AuthenticationResponseJSON, as `PublicKeyCredential.toJSON()` gives it after `get()`."""

    response: AssertionResponse


class PasskeyRead(BaseModel):
    """A passkey, as its owner sees it."""

    id: UUID
    name: str = Field(examples=["Anna's phone"])
    credential_id: str = Field(
        description="In base64url, for `PublicKeyCredential.signalAllAcceptedCredentials`.",
        examples=["AQIDBA"],
    )
    backed_up: bool = Field(
        description="Whether its provider keeps a copy, so that it survives a lost phone."
    )
    created_at: datetime
    last_used_at: datetime | None


class PasskeyList(BaseModel):
    """The passkeys of a person, oldest first."""

    passkeys: list[PasskeyRead]
