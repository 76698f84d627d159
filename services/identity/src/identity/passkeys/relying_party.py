"""The relying party: makes options, and checks what authenticators answer (WebAuthn Level 3 §7)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
    parse_client_data_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from chassis.problems import describe
from identity.models import Passkey
from identity.passkeys.policy import CEREMONY_TIME
from identity.passkeys.schemas import AuthenticationAnswer, RegistrationAnswer, encoded
from identity.passkeys.settings import PasskeySettings

PUBLIC_KEY_BYTES = 1024
"""Room for RSA with 4096 bits; a longer key would only make each signature slow to check."""

log = structlog.get_logger(__name__)

OptionsJson = dict[str, Any]


class UnverifiedAnswer(ValueError):
    """The answer is not what an authenticator would say to these options; the log says where it fell."""


@dataclass(frozen=True)
class NewCredential:
    """What an authenticator has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    backed_up: bool


@dataclass(frozen=True)
class Assertion:
    """What an authenticator says about itself in a genuine sign-in."""

    sign_count: int
    backed_up: bool


@dataclass(frozen=True)
class RelyingParty:
    """Who asks for passkeys: a domain, and the pages and apps that act for it."""

    id: str
    name: str
    origins: list[str]

    @classmethod
    def of(cls, settings: PasskeySettings) -> Self:
        """Return the relying party that the settings describe."""
        page = urlsplit(settings.public_url)
        return cls(
            id=settings.passkey_rp_id or page.hostname or "localhost",
            name=settings.passkey_rp_name or "IrisVue",
            origins=list(settings.passkey_origins) or [f"{page.scheme}://{page.netloc}".lower()],
        )

    def creation_options(
        self, *, challenge: bytes, user_handle: bytes, user_name: str, known: Sequence[Passkey]
    ) -> OptionsJson:
        """Return a PublicKeyCredentialCreationOptionsJSON for a passkey that finds its account by itself."""
        options = generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=user_handle,
            user_name=user_name,
            challenge=challenge,
            timeout=_milliseconds(),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(
                    id=passkey.credential_id,
                    transports=[AuthenticatorTransport(name) for name in passkey.transports],
                )
                for passkey in known
            ],
        )
        return options_to_json_dict(options)

    def request_options(self, *, challenge: bytes) -> OptionsJson:
        """Return a PublicKeyCredentialRequestOptionsJSON that names nobody."""
        options = generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            timeout=_milliseconds(),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    def verify_registration(self, answer: RegistrationAnswer, *, challenge: bytes) -> NewCredential:
        """Return what was made for `challenge`; raises `UnverifiedAnswer`."""
        credential = RegistrationCredential(
            id=encoded(answer.id),
            raw_id=answer.raw_id,
            response=AuthenticatorAttestationResponse(
                client_data_json=answer.response.client_data_json,
                attestation_object=answer.response.attestation_object,
            ),
        )
        try:
            made = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origins,
                require_user_verification=True,
            )
            _check_key(made.credential_public_key)
            aaguid = UUID(made.aaguid)
        except Exception as error:  # noqa: BLE001 - what parsers raise on hostile bytes has no common class
            raise _unverified(error) from None
        if made.credential_id != answer.raw_id:
            raise UnverifiedAnswer
        return NewCredential(
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            aaguid=aaguid,
            backed_up=made.credential_backed_up,
        )

    def verify_sign_in(
        self, answer: AuthenticationAnswer, *, challenge: bytes, public_key: bytes
    ) -> Assertion:
        """Return what a genuine signature of `challenge` says; raises `UnverifiedAnswer`."""
        credential = AuthenticationCredential(
            id=encoded(answer.id),
            raw_id=answer.raw_id,
            response=AuthenticatorAssertionResponse(
                client_data_json=answer.response.client_data_json,
                authenticator_data=answer.response.authenticator_data,
                signature=answer.response.signature,
            ),
        )
        try:
            said = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origins,
                credential_public_key=public_key,
                # The counter is judged under the row's lock, and only of signatures that are genuine.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except Exception as error:  # noqa: BLE001 - what parsers raise on hostile bytes has no common class
            raise _unverified(error) from None
        return Assertion(sign_count=said.new_sign_count, backed_up=said.credential_backed_up)


def challenge_of(client_data_json: bytes) -> bytes:
    """Return the challenge that an answer claims to answer; raises `UnverifiedAnswer`."""
    try:
        client_data = parse_client_data_json(client_data_json)
    except Exception as error:  # noqa: BLE001 - what parsers raise on hostile bytes has no common class
        raise _unverified(error) from None
    if client_data.cross_origin:
        # None of our pages is made to be framed by somebody else's (§13.4.2).
        raise UnverifiedAnswer
    return client_data.challenge


def challenge_hash(challenge: bytes) -> str:
    """Return the form in which a challenge is stored: 64 hex digits."""
    return hashlib.sha256(challenge).hexdigest()


def _check_key(public_key: bytes) -> None:
    """Raise for a key with which no signature could be checked later."""
    if len(public_key) > PUBLIC_KEY_BYTES:
        raise UnverifiedAnswer
    decoded_public_key_to_cryptography(decode_credential_public_key(public_key))


def _unverified(error: Exception) -> UnverifiedAnswer:
    log.info("passkey_answer_refused", error=describe(error))
    return UnverifiedAnswer()


def _milliseconds() -> int:
    return int(CEREMONY_TIME.total_seconds() * 1000)
