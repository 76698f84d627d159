"""Whatever is sent to identity's API, it answers as its OpenAPI document says (S1)."""

import asyncio
import json
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from chassis.ids import new_id
from identity.models import MailToken, Session, User
from identity.tokens import AuthorizedSession, capability_hash, new_capability
from support.api_process import api_process
from support.fuzzing import fuzz

PASSWORD = "seven blue irises"
BEARER = {
    f"{method.upper()} {path}"
    for path, item in json.loads((Path(__file__).parents[2] / "openapi.json").read_text())["paths"].items()
    for method, operation in item.items()
    if operation.get("security")
}
# Rules that a schema can't spell; each status is documented, so that its use elsewhere would still be found.
ALSO_REFUSED = {
    # An address that nobody can have, such as one at `localhost`, or a password that would be guessed.
    "POST /api/v1/auth/register": [422],
    "PATCH /api/v1/users/me": [422],
    "POST /api/v1/auth/reset-password": [422],
    "POST /api/v1/auth/change-password": [422],
    # An authenticator's answer names its credential twice, alike, and must belong to a challenge.
    "POST /api/v1/auth/passkeys/registration/verify": [400, 422],
    "POST /api/v1/auth/passkeys/authentication/verify": [422],
    # `{"confirm": false}` is well formed and deletes nothing.
    "DELETE /api/v1/users/me": [400],
}
# They need a provider, an authenticator or an id that exists, and have tests of their own.
NEVER_SUCCEED = {
    "POST /api/v1/auth/apple",
    "POST /api/v1/auth/apple/link",
    "DELETE /api/v1/auth/apple/link",
    "POST /api/v1/auth/apple/notifications",
    "POST /api/v1/auth/google",
    "POST /api/v1/auth/google/link",
    "DELETE /api/v1/auth/google/link",
    "POST /api/v1/auth/cancel-deletion",
    "POST /api/v1/auth/passkeys/authentication/verify",
    "POST /api/v1/auth/passkeys/registration/verify",
    "DELETE /api/v1/auth/passkeys/{passkey_id}",
    "GET /api/v1/privacy/erasures/{erasure_id}",
    "GET /api/v1/privacy/erasures/{erasure_id}/certificate",
    "GET /api/v1/users/me/erasure-preview",
    "GET /health/{part}",
    # None of these people is an officer.
    "POST /api/v1/operations/holds",
    "GET /api/v1/operations/holds",
    "POST /api/v1/operations/holds/{hold_id}/release",
}
# Nobody else runs here who could say what they hold; then it answers 503, which has tests of its own.
UNCHECKED = {"GET /api/v1/users/me/erasure-preview": ["not_a_server_error"]}


class Crowd:
    """People with accounts and sessions, written straight into the database."""

    def __init__(self, service, password_hash: str) -> None:
        self._service = service
        self._password_hash = password_hash

    async def session(self, email: str = "") -> Session:
        """Return a new person's session."""
        now = self._service.clock.now()
        email = email or f"{secrets.token_hex(8)}@example.org"
        moments = {"rotated_at": now, "authenticated_at": now, "created_at": now, "last_used_at": now}
        async with self._service.unit_of_work() as uow:
            user = User(
                id=new_id(),
                email=email,
                email_key=email,
                password_hash=self._password_hash,
                auth_provider="email",
                is_active=True,
                is_verified=False,
                created_at=now,
                updated_at=now,
            )
            uow.session.add(user)
            await uow.session.flush()
            session = Session(id=new_id(), user_id=user.id, generation=1, **moments)
            uow.session.add(session)
        return session

    async def access_token(self) -> str:
        """Return the access token of a new person."""
        session = await self.session()
        authorized = AuthorizedSession(session, email_verified=False)
        return self._service.tokens.access_token(authorized, now=self._service.clock.now())[0]

    async def refresh_token(self) -> str:
        """Return the refresh token of a new person."""
        return self._service.tokens.refresh_token(await self.session())

    async def link(self, purpose: str) -> str:
        """Return the token of a mail to a new person."""
        token = new_capability()
        expires_at = self._service.clock.now() + timedelta(minutes=10)
        session = await self.session()
        async with self._service.unit_of_work() as uow:
            uow.session.add(
                MailToken(
                    token_hash=capability_hash(token),
                    user_id=session.user_id,
                    purpose=purpose,
                    expires_at=expires_at,
                )
            )
        return token


@pytest.fixture
def amount(request) -> dict[str, int]:
    """Return how many random requests are sent, and where they begin."""
    option = request.config.getoption
    return {"cases": option("--generated-cases"), "seed": option("--generated-seed")}


@pytest.fixture
async def crowd(service):
    return Crowd(service, await service.hasher.hash(PASSWORD))


async def good_bodies(crowd) -> dict[str, list[dict]]:
    """Return requests that succeed, so that successes are held against the document as well."""
    await crowd.session("ada@example.org")
    known, new = {"password": PASSWORD}, {"new_password": "eight green tulips"}
    return {
        "POST /api/v1/auth/register": [{"email": "grace@example.org", **known}] * 2,
        "POST /api/v1/auth/login": [{"username": "ada@example.org", **known}],
        "POST /api/v1/auth/login/json": [{"email": "ada@example.org", **known}],
        "POST /api/v1/auth/refresh": [{"refresh_token": await crowd.refresh_token()}],
        "POST /api/v1/auth/verify-email": [{"token": await crowd.link("verify_address")}],
        "POST /api/v1/auth/decline-address": [{"token": await crowd.link("verify_address")}],
        "POST /api/v1/auth/reset-password": [{"token": await crowd.link("reset_password"), **new}],
        "POST /api/v1/auth/confirm-deletion": [{"token": await crowd.link("confirm_deletion")}],
        "POST /api/v1/auth/change-password": [{"current_password": PASSWORD, **new}],
        "PATCH /api/v1/users/me": [{"email": "countess@example.org"}],
        "DELETE /api/v1/users/me": [{"confirm": True}],
    }


async def test_every_answer_to_somebody_signed_in_is_as_documented(platform, crowd, amount) -> None:
    loop = asyncio.get_running_loop()

    def new_token() -> str:
        return asyncio.run_coroutine_threadsafe(crowd.access_token(), loop).result()

    examples = await good_bodies(crowd)
    async with api_process(platform, "identity") as api:
        found = await asyncio.to_thread(
            fuzz,
            api.url,
            **amount,
            proof=api.proof,
            new_token=new_token,
            examples=examples,
            also_refused=ALSO_REFUSED,
            unchecked=UNCHECKED,
        )
    assert not found.failures, found.report()
    assert found.requests >= 1000
    assert found.answers.keys() - found.succeeded == NEVER_SUCCEED


async def test_nobody_gets_past_a_lock_without_a_token(platform, service, amount) -> None:
    async with api_process(platform, "identity") as api:
        found = await asyncio.to_thread(fuzz, api.url, **amount, proof=api.proof, also_refused=ALSO_REFUSED)
    assert not found.failures, found.report()
    assert found.answers.keys() > BEARER
    assert not found.succeeded & BEARER
