"""Apple's notices to the server."""

import asyncio
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from identity.models import AppleGrant, Erasure, ProviderIdentity, SpentToken, User
from identity.repositories import SpentTokens

OTHER = "001234.subject.0002"


@pytest.fixture
async def account(phone, apple):
    """Return the account of somebody who signed in with Apple, with a grant."""
    return await phone.signed_in("apple", fields={"authorization_code": apple.grant_code("code-1")})


@pytest.fixture
def is_signed_in(client):
    async def _is(account) -> bool:
        return (await client.get("/api/v1/users/me", headers=account["bearer"])).status_code == 200

    return _is


async def taken(answer) -> None:
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"message"}


@pytest.mark.parametrize("row", ["A-17"])
async def test_revoked_consent_ends_the_sessions_and_the_link(
    phone, apple, account, is_signed_in, rows, events, row
):
    await taken(await phone.notify(apple.notice("consent-revoked")))
    assert not await is_signed_in(account)
    assert await rows(ProviderIdentity) == await rows(AppleGrant) == 0, row
    assert await rows(User) == 1
    assert "identity.session.revoked.v1" in await events()
    assert apple.revoked == []
    back = await phone.signed_in("apple")
    assert back["id"] == account["id"]


@pytest.mark.parametrize("row", ["A-17"])
async def test_an_account_deleted_at_apple_is_erased_here(
    phone, apple, account, is_signed_in, rows, events, row
):
    await taken(await phone.notify(apple.notice("account-delete")))
    assert not await is_signed_in(account)
    assert await rows(Erasure) == 1, row
    assert (await events()).count("identity.user.deleted.v1") == 1
    # The grant stays until the erasure has revoked it.
    assert await rows(AppleGrant) == 1


@pytest.mark.parametrize("way", ["password", "google"])
async def test_who_can_still_come_in_another_way_loses_only_the_link(
    phone, apple, ada, verified, is_signed_in, rows, way
):
    await verified(ada)
    if way == "google":
        account = await phone.signed_in("apple", email="bob@gmail.com")
        await phone.signed_in("google", email="bob@gmail.com")
    else:
        account = await phone.signed_in("apple")
    await taken(await phone.notify(apple.notice("account-delete")))
    assert not await is_signed_in(account)
    assert await rows(Erasure) == 0
    assert await rows(ProviderIdentity) == (1 if way == "google" else 0)
    again = await (phone.signed_in("google", email=...) if way == "google" else ada.log_in())
    assert again


async def test_mail_switched_off_and_on_at_apple_is_remembered(phone, apple, account, service):
    async def disabled_at():
        async with service.unit_of_work() as uow:
            return await uow.session.scalar(select(ProviderIdentity.mail_disabled_at))

    await taken(await phone.notify(apple.notice("email-disabled")))
    assert await disabled_at() == service.clock.now()
    await taken(await phone.notify(apple.notice("email-enabled")))
    assert await disabled_at() is None


@pytest.mark.parametrize("row", ["A-17"])
@pytest.mark.parametrize("kind", ["consent-revoked", "account-delete"])
async def test_a_notice_acts_once_however_often_it_comes(phone, apple, account, events, rows, kind, row):
    notice = apple.notice(kind)
    answers = await asyncio.gather(*(phone.notify(notice) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}, row
    before = await events()
    back = await phone.signed_in("apple")
    await taken(await phone.notify(notice))
    again = await phone.account(back["bearer"])
    assert again["id"] == back["id"]
    assert (await events()).count("identity.user.deleted.v1") == before.count("identity.user.deleted.v1")
    assert await rows(SpentToken) == 1


async def test_a_late_notice_does_not_undo_a_newer_sign_in(phone, apple, account, is_signed_in):
    for kind in ("consent-revoked", "account-delete"):
        await taken(await phone.notify(apple.notice(kind, at=int(time.time()) - 3600)))
    assert await is_signed_in(account)


@pytest.mark.parametrize("factor", [1, 1000])
async def test_the_time_of_an_event_may_be_in_milliseconds(phone, apple, account, is_signed_in, factor):
    at = (int(time.time()) + 1) * factor
    await taken(await phone.notify(apple.notice("consent-revoked", at=at)))
    assert not await is_signed_in(account)


@pytest.mark.parametrize("kind", ["consent-revoked", "account-delete", "email-disabled", "something-new"])
async def test_a_notice_about_a_stranger_or_of_an_unknown_kind_changes_nothing(
    phone, apple, account, is_signed_in, kind
):
    await taken(await phone.notify(apple.notice(kind, subject=OTHER)))
    await taken(await phone.notify(apple.notice("something-new")))
    assert await is_signed_in(account)


async def test_both_names_of_the_issuer_are_apple(phone, apple, account, is_signed_in):
    await taken(await phone.notify(apple.notice("consent-revoked", iss="https://account.apple.com")))
    assert not await is_signed_in(account)


REFUSED = {
    "other audience": {"aud": "org.example.other"},
    "other issuer": {"iss": "https://accounts.google.com"},
    "no id": {"jti": ...},
    "id is empty": {"jti": ""},
    "id is too long": {"jti": "j" * 256},
    "no time": {"iat": ...},
    "from the future": {"iat": int(time.time()) + 86_400},
    "older than a month": {"iat": int(time.time()) - 31 * 86_400},
    "expired": {"exp": int(time.time()) - 3600},
    "no event": {"events": ...},
    "event is no JSON": {"events": "{"},
    "event is a list": {"events": "[]"},
    "event without a subject": {"events": '{"type": "account-delete"}'},
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_apple_did_not_sign_for_us_is_refused(phone, apple, account, is_signed_in, rows, case):
    answer = await phone.notify(apple.notice("account-delete", **REFUSED[case]))
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:irisvue:problem:notice-refused"
    assert await is_signed_in(account)
    assert await rows(SpentToken) == 0


async def test_a_forged_notice_is_refused(phone, apple, google, keyring, account, is_signed_in):
    forged = [
        apple.notice("account-delete", key=keyring.strangers),
        apple.notice("account-delete")[:-4] + "AAAA",
        apple.notice("account-delete").rsplit(".", 1)[0] + ".",
        google.token(),
        "not a notice",
        "",
    ]
    for payload in forged:
        assert (await phone.notify(payload)).status_code == 401
    assert await is_signed_in(account)


async def test_an_id_token_is_no_notice_and_a_notice_no_id_token(phone, apple, account, is_signed_in):
    assert (await phone.notify(apple.token())).status_code == 401
    assert (await phone.send("apple", apple.notice("account-delete"))).status_code == 401
    assert await is_signed_in(account)


async def test_ids_are_forgotten_when_their_notices_are_too_old_to_be_good(
    phone, apple, account, service, clock, rows
):
    await phone.notify(apple.notice("email-disabled"))

    async def forget() -> None:
        async with service.unit_of_work() as uow:
            await SpentTokens(uow.session).forget_expired(now=clock.now())

    clock.advance(timedelta(days=29))
    await forget()
    assert await rows(SpentToken) == 1
    clock.advance(timedelta(days=2))
    await forget()
    assert await rows(SpentToken) == 0
