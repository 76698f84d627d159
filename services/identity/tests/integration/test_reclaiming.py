"""Whoever proves an address that nobody had proved begins anew: what was stored before is erased."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select

from chassis.holdings import Holdings
from identity.holdings import HOLDINGS
from identity.models import Erasure, ErasureParticipant, User

REGISTERED, VERIFIED = "identity.user.registered.v1", "identity.user.verified.v1"
DELETED = "identity.user.deleted.v1"
NEW_PASSWORD = "an entirely different phrase"
AUTH, ME = "/api/v1/auth", "/api/v1/users/me"


async def reset(client, mailbox, post_office, email: str):
    """Choose a new password as the owner of the mailbox."""
    await client.post(f"{AUTH}/request-password-reset", json={"email": email})
    await post_office()
    body = {"token": mailbox.token(), "new_password": NEW_PASSWORD}
    return await client.post(f"{AUTH}/reset-password", json=body)


async def signed_in(client, email: str) -> dict:
    """Sign in with the new password; return the account, with its `bearer`."""
    body = {"email": email, "password": NEW_PASSWORD}
    tokens = (await client.post(f"{AUTH}/login/json", json=body)).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    return {**(await client.get(ME, headers=bearer)).json(), "bearer": bearer}


async def test_reset_of_an_unproved_address_gives_an_account_of_its_own(
    ada, client, service, events, mailbox, post_office
):
    assert (await reset(client, mailbox, post_office, ada.email)).status_code == 200
    owner = await signed_in(client, ada.email)
    assert owner["id"] != ada.user_id
    assert (owner["email"], owner["is_verified"], owner["auth_provider"]) == (ada.email, True, "email")
    assert (await client.get(ME, headers=ada.bearer)).status_code == 401
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 401
    written = await events()
    assert [written.count(kind) for kind in (REGISTERED, VERIFIED, DELETED)] == [2, 1, 1]
    async with service.unit_of_work() as uow:
        (erasure,) = (await uow.session.scalars(select(Erasure))).all()
        services = set((await uow.session.scalars(select(ErasureParticipant.service))).all())
        first = await uow.session.scalar(select(User).where(User.is_active.is_(False)))
    assert str(erasure.user_id) == str(first.id) == ada.user_id
    assert services >= {"identity", "consent", "storage"}


async def test_reset_of_a_proved_address_keeps_the_account(ada, client, events, mailbox, post_office):
    await post_office()
    await client.post(f"{AUTH}/verify-email", json={"token": mailbox.token()})
    assert (await reset(client, mailbox, post_office, ada.email)).status_code == 200
    assert (await signed_in(client, ada.email))["id"] == ada.user_id
    assert DELETED not in await events()


async def test_mails_say_what_becomes_of_the_earlier_account(ada, client, mailbox, post_office):
    await post_office()
    mailbox.messages.clear()
    await reset(client, mailbox, post_office, ada.email)
    await post_office()
    texts = [mail.get_body(("plain",)).get_content() for mail in mailbox.messages]
    assert [str(mail["Subject"]) for mail in mailbox.messages] == [
        "Begin anew with your address",
        "You have a new, empty account",
    ]
    assert all("erased" in text for text in texts)
    assert not any("As you asked" in text for text in texts)


async def test_first_account_is_erased_without_waiting_for_a_farewell(
    ada, client, service, mailbox, post_office
):
    await reset(client, mailbox, post_office, ada.email)
    holdings = Holdings(service, HOLDINGS)
    first = UUID(ada.user_id)
    await holdings.erase([first])
    assert set((await holdings.count([first]))[first].values()) == {0}
    assert (await signed_in(client, ada.email))["is_verified"] is True


async def test_of_two_resets_at_once_one_begins_anew(ada, client, events, mailbox, post_office):
    for _ in range(2):
        await client.post(f"{AUTH}/request-password-reset", json={"email": ada.email})
    await post_office()
    answers = await asyncio.gather(
        *(
            client.post(
                f"{AUTH}/reset-password", json={"token": mailbox.token(number), "new_password": NEW_PASSWORD}
            )
            for number in (-1, -2)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert (await events()).count(DELETED) == 1


@pytest.fixture
async def mailed(ada, mailbox, post_office) -> str:
    """Return the token of the mail that the owner of the address got."""
    await post_office()
    return mailbox.token()


async def test_who_did_not_sign_up_says_so_and_the_account_is_erased(ada, client, events, mailed):
    declined = await client.post(f"{AUTH}/decline-address", json={"token": mailed})
    assert declined.status_code == 200
    assert (await client.get(ME, headers=ada.bearer)).status_code == 401
    assert (await events()).count(DELETED) == 1
    assert (await client.post(f"{AUTH}/verify-email", json={"token": mailed})).status_code == 401
    again = await client.post(f"{AUTH}/register", json={"email": ada.email, "password": NEW_PASSWORD})
    assert again.status_code == 201


async def test_who_has_confirmed_declines_no_more(ada, client, events, mailbox, post_office):
    await client.post(f"{AUTH}/resend-verification", headers=ada.bearer)
    await post_office()
    first, second = mailbox.token(-2), mailbox.token(-1)
    assert (await client.post(f"{AUTH}/verify-email", json={"token": first})).status_code == 200
    assert (await client.post(f"{AUTH}/decline-address", json={"token": second})).status_code == 401
    assert DELETED not in await events()


async def test_who_declines_a_new_address_leaves_the_account_as_it_is(
    ada, client, events, mailbox, post_office
):
    await client.patch(ME, json={"email": "typo@example.org"}, headers=ada.bearer)
    await post_office()
    (number,) = [n for n, mail in enumerate(mailbox.messages) if mail["To"] == "typo@example.org"]
    token = mailbox.token(number)
    assert (await client.post(f"{AUTH}/decline-address", json={"token": token})).status_code == 200
    assert (await client.post(f"{AUTH}/verify-email", json={"token": token})).status_code == 401
    assert (await client.get(ME, headers=ada.bearer)).json()["email"] == ada.email
    assert DELETED not in await events()


async def test_mail_to_confirm_says_what_confirming_means(ada, mailbox, mailed):
    text = mailbox.messages[-1].get_body(("plain",)).get_content()
    assert "only if you signed up" in text
    assert "erased" in text
