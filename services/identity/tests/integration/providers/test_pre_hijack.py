"""Somebody prepares an account under another person's address and waits (Sudhodanan and Paverd, 2022)."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete

from identity.models import Mail, ProviderIdentity
from identity.use_cases.mail.send_mail import MailDelivery

pytestmark = pytest.mark.parametrize("provider", ["apple", "google"], ids="S7-{}".format)

PASSWORD = "correct horse battery staple"
VICTIM = "ada@example.org"
ATTACKERS_SUBJECT = "666.attacker"


@pytest.fixture
def attacker(ada):
    """Return the attacker, who has registered the victim's address and is signed in."""
    assert ada.email == VICTIM
    return ada


@pytest.fixture
def deliver_mail(service):
    """Return a function that sends the waiting mail of one kind through `transport`."""

    async def _deliver(transport, kind: str) -> None:
        async with service.unit_of_work() as uow:
            await uow.session.execute(delete(Mail).where(Mail.kind != kind))
        sender = replace(service.mail_sender, transport=transport)
        outage = timedelta(minutes=5)
        assert await MailDelivery(service.database, sender, service.limits, outage=outage).work_once() == 1

    return _deliver


async def password_works(client) -> bool:
    answer = await client.post("/api/v1/auth/login/json", json={"email": VICTIM, "password": PASSWORD})
    return answer.status_code == 200


async def test_classic_federated_merge_leaves_no_password(client, phone, attacker, provider):
    victim = await phone.signed_in(provider)
    assert victim["id"] != attacker.user_id
    assert (victim["email"], victim["is_verified"], victim["auth_provider"]) == (VICTIM, True, provider)
    assert not await password_works(client)


async def test_unexpired_sessions_end(client, phone, attacker, events, provider):
    await phone.signed_in(provider)
    assert (await client.get("/api/v1/users/me", headers=attacker.bearer)).status_code == 401
    assert (await attacker.refresh(attacker.tokens["refresh_token"])).status_code == 401
    assert "identity.session.revoked.v1" in await events()


async def test_a_trojan_identifier_is_unlinked(phone, attacker, rows, provider):
    other = "google" if provider == "apple" else "apple"
    token = phone.fakes[other].token(sub=ATTACKERS_SUBJECT, email="attacker@example.org")
    linked = await phone.send(other, token, path="/link", headers=attacker.bearer)
    assert linked.status_code == 200
    victim = await phone.signed_in(provider)
    assert victim["id"] != attacker.user_id
    back = await phone.signed_in(other, sub=ATTACKERS_SUBJECT, email="attacker@example.org")
    assert back["id"] not in {victim["id"], attacker.user_id}
    # The attacker's link has left the account that is being erased, so there is one link for each of them.
    assert await rows(ProviderIdentity) == 2


@pytest.mark.parametrize("sent", [True, False])
async def test_an_unexpired_change_of_address_is_dropped(
    client, phone, attacker, mailbox, post_office, provider, sent
):
    await post_office()
    asked = await client.patch(
        "/api/v1/users/me", json={"email": "attacker@example.org"}, headers=attacker.bearer
    )
    assert asked.status_code == 200
    if sent:
        await post_office()
    victim = await phone.signed_in(provider)
    await post_office()
    for number, message in enumerate(mailbox.messages):
        if message["To"] == "attacker@example.org":
            answer = await client.post("/api/v1/auth/verify-email", json={"token": mailbox.token(number)})
            assert answer.status_code == 401
    assert (await phone.account(victim["bearer"]))["email"] == VICTIM


async def test_a_link_that_is_on_its_way_to_the_mail_server_is_dropped_too(
    client, phone, attacker, service, clock, deliver_mail, provider
):
    letters = []

    class SlowPost:
        """The owner of the address signs in while the mail server is still busy."""

        async def send(self, message, *, recipient):
            letters.append(message.get_body(("plain",)).get_content())
            await phone.signed_in(provider)

    await client.patch("/api/v1/users/me", json={"email": "attacker@example.org"}, headers=attacker.bearer)
    clock.advance(timedelta(seconds=1))
    await deliver_mail(SlowPost(), "confirm_new_address")
    (letter,) = letters
    token = re.search(r"#token=(\S+)", letter)[1]
    answer = await client.post("/api/v1/auth/verify-email", json={"token": token})
    assert answer.status_code == 401


async def test_a_provider_that_verifies_nothing_opens_no_door(client, phone, mailbox, post_office, provider):
    trojan = await phone.signed_in(provider, sub=ATTACKERS_SUBJECT, email_verified=False)
    assert trojan["is_verified"] is False
    await post_office()
    await client.post("/api/v1/auth/request-password-reset", json={"email": VICTIM})
    await post_office()
    new_password = "an entirely different phrase"
    reset = await client.post(
        "/api/v1/auth/reset-password", json={"token": mailbox.token(), "new_password": new_password}
    )
    assert reset.status_code == 200
    assert (await client.get("/api/v1/users/me", headers=trojan["bearer"])).status_code == 401
    back = await phone.sign_in(provider, sub=ATTACKERS_SUBJECT, email_verified=False)
    assert back.status_code == 409


async def test_the_owner_who_comes_by_another_provider_shuts_it_out_too(phone, provider):
    other = "google" if provider == "apple" else "apple"
    trojan = await phone.signed_in(provider, sub=ATTACKERS_SUBJECT, email_verified=False)
    victim = await phone.signed_in(other)
    assert victim["id"] != trojan["id"]
    assert (await phone.client.get("/api/v1/users/me", headers=trojan["bearer"])).status_code == 401
    back = await phone.sign_in(provider, sub=ATTACKERS_SUBJECT, email_verified=False)
    assert back.status_code == 409
