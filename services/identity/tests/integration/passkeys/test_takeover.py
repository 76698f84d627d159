"""Nobody gets or keeps a way into an account through a passkey that its owner did not add."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from contracts.fields import AuthProvider
from identity.repositories import Users
from identity.use_cases.accounts.reclaim_account import reclaim_account
from services.identity.tests.passkey_ceremonies import BASE, add, creation_options, sign_in, slug
from services.identity.tests.virtual_authenticator import VirtualAuthenticator


async def reset_password(client, mailbox, post_office, email):
    await client.post("/api/v1/auth/request-password-reset", json={"email": email})
    await post_office()
    body = {"token": mailbox.token(), "new_password": "an entirely different phrase"}
    answer = await client.post("/api/v1/auth/reset-password", json=body)
    assert answer.status_code == 200, answer.text


async def test_a_new_passkey_is_told_to_the_owner_by_mail(ada, post_office):
    await post_office()
    await add(ada, VirtualAuthenticator())
    assert (await post_office())[-1] == "A new way to sign in was added"


async def test_only_a_fresh_sign_in_adds_a_passkey(client, ada, phone, clock):
    # Tokens are judged by the time of the machine, so the sign-in is moved back and not the clock forward.
    clock.advance(timedelta(minutes=-5, seconds=-1))
    await ada.log_in()
    clock.advance(timedelta(minutes=5, seconds=1))
    answer = await client.post(f"{BASE}/registration/options", headers=ada.bearer)
    assert (answer.status_code, slug(answer)) == (401, "fresh-sign-in-needed")
    ada.tokens = (await sign_in(client, phone)).json()
    assert (await add(ada, VirtualAuthenticator())).status_code == 200


@pytest.mark.parametrize(("verified", "passkey_stays"), [(True, True), (False, False)])
async def test_a_reset_password_drops_the_passkeys_of_whoever_never_proved_the_address(
    client, ada, service, phone, mailbox, post_office, verified, passkey_stays
):
    async with service.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE identity.users SET is_verified = :yes"), {"yes": verified})
    await reset_password(client, mailbox, post_office, ada.email)
    assert (await sign_in(client, phone)).status_code == (200 if passkey_stays else 401)


async def test_an_account_that_its_owner_reclaims_loses_the_passkeys_of_the_stranger(
    client, ada, service, phone
):
    started = VirtualAuthenticator().create(await creation_options(ada))
    async with service.unit_of_work() as uow:
        user = await Users(uow.session).lock(UUID(ada.user_id))
        await reclaim_account(
            uow,
            user,
            email=ada.email,
            provider=AuthProvider.EMAIL,
            rules=service.rules,
        )
    assert (await sign_in(client, phone)).status_code == 401
    late = await client.post(f"{BASE}/registration/verify", json=started, headers=ada.bearer)
    assert late.status_code == 401
