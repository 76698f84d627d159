"""Passkeys: adding, listing, removing, and signing in with one."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from chassis.counters import QuotaExceeded
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import NotFound, Unauthorized
from identity.api.dependencies import (
    CurrentDevice,
    CurrentService,
    FreshlySignedIn,
    SignedIn,
    token_response,
)
from identity.models import Passkey
from identity.passkeys.policy import PasskeyKnown, PasskeyNotVerified, PasskeyRefused, TooManyPasskeys
from identity.passkeys.relying_party import RelyingParty
from identity.passkeys.schemas import (
    CREATION_OPTIONS,
    REQUEST_OPTIONS,
    AuthenticationAnswer,
    PasskeyList,
    PasskeyRead,
    RegistrationAnswer,
    encoded,
)
from identity.policy import FreshSignInNeeded, LastWayIn
from identity.repositories import Passkeys
from identity.schemas import TokenResponse
from identity.use_cases.passkeys.begin_passkey_registration import begin_passkey_registration
from identity.use_cases.passkeys.begin_passkey_sign_in import begin_passkey_sign_in
from identity.use_cases.passkeys.finish_passkey_registration import finish_passkey_registration
from identity.use_cases.passkeys.finish_passkey_sign_in import finish_passkey_sign_in
from identity.use_cases.passkeys.remove_passkey import remove_passkey

router = APIRouter(prefix="/api/v1/auth/passkeys", tags=["identity"], route_class=IdempotentRoute)


@router.post(
    "/registration/options",
    summary="Begin to add a passkey",
    responses=example(CREATION_OPTIONS) | problems(Unauthorized, FreshSignInNeeded, TooManyPasskeys),
)
async def passkey_registration_options(user: FreshlySignedIn, service: CurrentService) -> dict[str, Any]:
    """Begin to add a passkey: options for `PublicKeyCredential.parseCreationOptionsFromJSON`.

    Needs a sign-in of the last five minutes.
    """
    async with service.unit_of_work() as uow:
        relying_party = RelyingParty.of(service.settings)
        return await begin_passkey_registration(uow, relying_party=relying_party, user_id=user.id)


@router.post(
    "/registration/verify",
    summary="Add the passkey that was made",
    responses=problems(Unauthorized, PasskeyNotVerified, PasskeyKnown, TooManyPasskeys),
)
async def verify_passkey_registration(
    body: RegistrationAnswer, user: SignedIn, service: CurrentService
) -> PasskeyList:
    """Add the passkey that was made from the options, and list all of them."""
    passkeys = await finish_passkey_registration(
        service.database,
        relying_party=RelyingParty.of(service.settings),
        user_id=user.id,
        answer=body,
    )
    return _listed(passkeys)


@router.post(
    "/authentication/options", summary="Begin to sign in with a passkey", responses=example(REQUEST_OPTIONS)
)
async def passkey_sign_in_options(service: CurrentService) -> dict[str, Any]:
    """Begin to sign in: options for `PublicKeyCredential.parseRequestOptionsFromJSON`."""
    async with service.unit_of_work() as uow:
        return await begin_passkey_sign_in(uow, relying_party=RelyingParty.of(service.settings))


@router.post(
    "/authentication/verify",
    summary="Sign in with a passkey",
    responses=problems(PasskeyRefused, QuotaExceeded),
)
async def verify_passkey_sign_in(
    body: AuthenticationAnswer, service: CurrentService, device: CurrentDevice
) -> TokenResponse:
    """Sign in with the passkey that answered the options."""
    async with service.database.read_only() as session:
        passkey = await Passkeys(session).with_credential(body.raw_id)
    if passkey is not None:
        await service.limits.before_passkey(passkey.user_id)
    authorized = await finish_passkey_sign_in(
        service.database,
        relying_party=RelyingParty.of(service.settings),
        answer=body,
        device=device,
        rules=service.rules,
    )
    return token_response(service, authorized)


@router.get("", summary="List the caller's passkeys", responses=problems(Unauthorized))
async def list_passkeys(user: SignedIn, service: CurrentService) -> PasskeyList:
    """List the caller's passkeys."""
    async with service.database.read_only() as session:
        return _listed(await Passkeys(session).of(user.id))


@router.delete(
    "/{passkey_id}",
    summary="Remove a passkey",
    status_code=204,
    responses=problems(Unauthorized, NotFound, LastWayIn),
)
async def delete_passkey(passkey_id: UUID, user: SignedIn, service: CurrentService) -> None:
    """Remove one of the caller's passkeys; the last way into the account stays."""
    async with service.unit_of_work() as uow:
        await remove_passkey(uow, user_id=user.id, passkey_id=passkey_id)


def _listed(passkeys: Sequence[Passkey]) -> PasskeyList:
    return PasskeyList(
        passkeys=[
            PasskeyRead(
                id=passkey.id,
                name=passkey.name,
                credential_id=encoded(passkey.credential_id),
                backed_up=passkey.backed_up,
                created_at=passkey.created_at,
                last_used_at=passkey.last_used_at,
            )
            for passkey in passkeys
        ]
    )
