"""Signing in, registering and linking with Apple and Google."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from identity.models import ProviderIdentity, Session, User

NONCE = "a nonce of the app"
HASHED = hashlib.sha256(NONCE.encode()).hexdigest()
OTHER = "001234.subject.0002"
PROVIDERS = pytest.mark.parametrize("provider", ["apple", "google"])


@PROVIDERS
async def test_a_stranger_gets_an_account_and_comes_back_to_it(phone, events, provider):
    first = await phone.signed_in(provider)
    assert (first["email"], first["is_verified"], first["auth_provider"]) == (
        "ada@example.org",
        True,
        provider,
    )
    again = await phone.signed_in(provider)
    assert again["id"] == first["id"]
    assert await events() == [
        "identity.user.registered.v1",
        "identity.user.verified.v1",
        "identity.user.active.v1",
    ]


@pytest.mark.parametrize(
    ("provider", "changes"),
    [
        pytest.param("apple", {"iss": "https://appleid.apple.com"}, id="A-15-issuer"),
        pytest.param("apple", {"iss": "https://account.apple.com"}, id="A-15-newer-issuer"),
        pytest.param("apple", {"aud": "org.irisvue.app.debug"}, id="A-15-audience-of-the-debug-build"),
        pytest.param("apple", {"email_verified": True, "is_private_email": False}, id="A-15-booleans"),
        pytest.param("apple", {"email_verified": "true"}, id="A-15-booleans-as-text"),
        pytest.param("google", {"iss": "https://accounts.google.com"}, id="A-16-issuer"),
        pytest.param("google", {"iss": "accounts.google.com"}, id="A-16-issuer-without-scheme"),
        pytest.param("google", {"azp": ...}, id="A-16-without-azp"),
        pytest.param("google", {"aud": "android.apps.example"}, id="A-16-audience-of-the-phone"),
        pytest.param("google", {"aud": ["web.apps.example"]}, id="A-16-audience-in-a-list"),
    ],
)
async def test_every_form_that_the_provider_uses_opens_the_same_account(phone, provider, changes):
    usual = await phone.signed_in(provider)
    other = await phone.signed_in(provider, **changes)
    assert (other["id"], other["is_verified"]) == (usual["id"], True)


@PROVIDERS
@pytest.mark.parametrize("key", ["rsa", "ec"])
async def test_a_token_may_be_signed_with_any_published_kind_of_key(phone, keyring, provider, key):
    await phone.signed_in(provider, key=getattr(keyring, key))


@PROVIDERS
async def test_a_new_key_of_the_provider_is_found(phone, keyring, provider):
    fake = phone.fakes[provider]
    fake.keys.append(keyring.next_rsa)
    await phone.signed_in(provider, key=keyring.next_rsa)
    await phone.signed_in(provider)
    assert fake.asked == ["keys"]


@pytest.mark.parametrize("nonce", [pytest.param(HASHED, id="A-15-hashed")])
@PROVIDERS
async def test_a_nonce_in_token_and_request_is_accepted_once(phone, rows, provider, nonce):
    assert (await phone.sign_in(provider, nonce=nonce, fields={"nonce": NONCE})).status_code == 200
    replayed = await phone.sign_in(provider, nonce=nonce, fields={"nonce": NONCE})
    assert replayed.status_code == 401
    assert replayed.json()["type"] == "urn:irisvue:problem:identity-token-refused"
    assert await rows(Session) == 1


@pytest.mark.parametrize("row", ["A-14"])
async def test_the_subject_is_the_key_and_never_the_address(phone, rows, row):
    ada = await phone.signed_in("apple", email="ada@example.org")
    bob = await phone.signed_in("apple", sub=OTHER, email="bob@example.org")
    assert bob["id"] != ada["id"]
    renamed = await phone.signed_in("apple", email="bob@example.org")
    assert (renamed["id"], renamed["email"]) == (ada["id"], "ada@example.org")
    without = await phone.signed_in("apple", email=..., email_verified=...)
    assert without["id"] == ada["id"]
    assert await rows(User) == 2, row


@pytest.mark.parametrize("row", ["A-14"])
async def test_the_same_number_at_two_providers_is_two_people(phone, row):
    apple = await phone.signed_in("apple", sub="42", email="ada@example.org")
    google = await phone.signed_in("google", sub="42", email="bob@example.org")
    assert apple["id"] != google["id"], row


async def test_an_address_hidden_by_apple_is_an_address(phone):
    hidden = "x7k2p9@privaterelay.appleid.com"
    account = await phone.signed_in("apple", email=hidden, is_private_email="true")
    assert (account["email"], account["is_verified"]) == (hidden, True)


@pytest.mark.parametrize("email", [..., None, "", "ada", 7])
@PROVIDERS
async def test_without_an_address_there_is_no_new_account_and_none_is_made_up(phone, rows, provider, email):
    answer = await phone.sign_in(provider, email=email)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:irisvue:problem:email-needed"
    assert await rows(User) == await rows(ProviderIdentity) == 0


@pytest.mark.parametrize("claim", [False, "false", ..., None, 1, "yes", "TRUE"])
@PROVIDERS
async def test_an_address_that_the_provider_has_not_verified_makes_no_verified_account(
    phone, post_office, provider, claim
):
    account = await phone.signed_in(provider, email_verified=claim)
    assert account["is_verified"] is False
    assert await post_office() == ["Confirm your address"]


async def test_google_s_word_counts_for_the_addresses_that_google_gives_out(phone):
    mine = await phone.signed_in("google", email="ada@gmail.com", hd=...)
    elsewhere = await phone.signed_in("google", sub=OTHER, email="ada@example.org", hd=...)
    assert (mine["is_verified"], elsewhere["is_verified"]) == (True, False)


@PROVIDERS
async def test_an_address_verified_on_both_sides_is_one_account(
    phone, ada, verified, mailbox, post_office, provider
):
    await verified(ada)
    account = await phone.signed_in(provider, email="ADA@Example.org")
    assert account["id"] == ada.user_id
    assert (await ada.log_in())["access_token"]
    assert "A new way to sign in was added" in await post_office()


async def test_apple_and_google_with_one_address_are_one_account(phone, rows):
    apple = await phone.signed_in("apple")
    google = await phone.signed_in("google")
    assert apple["id"] == google["id"]
    assert (google["auth_provider"], await rows(ProviderIdentity)) == ("apple", 2)


@pytest.mark.parametrize("row", ["A-14"])
@pytest.mark.parametrize(
    ("provider", "changes"),
    [
        ("apple", {"email_verified": "false"}),
        ("google", {"email_verified": False}),
        ("google", {"hd": ...}),
    ],
)
async def test_a_same_address_that_is_not_proved_opens_nobody_s_account(
    phone, ada, verified, rows, row, provider, changes
):
    await verified(ada)
    answer = await phone.sign_in(provider, **changes)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:irisvue:problem:sign-in-first"
    assert await rows(ProviderIdentity) == 0, row


@pytest.mark.parametrize("row", ["A-14"])
@PROVIDERS
async def test_who_is_signed_in_can_link_whatever_the_addresses_say(phone, ada, rows, row, provider):
    fake = phone.fakes[provider]
    token = fake.token(email="other@example.org", email_verified=False)
    for _ in range(2):
        answer = await phone.send(provider, token, path="/link", headers=ada.bearer)
        assert answer.status_code == 200, answer.text
    account = await phone.signed_in(provider, email=...)
    assert (account["id"], account["email"]) == (ada.user_id, ada.email)
    assert await rows(ProviderIdentity) == 1, row


@PROVIDERS
async def test_linking_twice_at_once_is_linking_once(phone, ada, rows, provider):
    token = phone.fakes[provider].token()
    answers = await asyncio.gather(
        *(phone.send(provider, token, path="/link", headers=ada.bearer) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert await rows(ProviderIdentity) == 1


@PROVIDERS
async def test_linking_needs_a_session_and_a_recent_one(phone, ada, clock, rows, provider):
    token = phone.fakes[provider].token()
    assert (await phone.send(provider, token, path="/link")).status_code == 401
    clock.advance(timedelta(minutes=5, seconds=1))
    stale = await phone.send(provider, token, path="/link", headers=ada.bearer)
    assert stale.status_code == 401
    assert stale.json()["type"] == "urn:irisvue:problem:fresh-sign-in-needed"
    assert await rows(ProviderIdentity) == 0


@PROVIDERS
async def test_what_opens_one_account_can_t_be_linked_to_another(phone, ada, provider):
    owner = await phone.signed_in(provider, email="bob@example.org")
    token = phone.fakes[provider].token(email="bob@example.org")
    answer = await phone.send(provider, token, path="/link", headers=ada.bearer)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:irisvue:problem:provider-account-taken"
    assert (await phone.signed_in(provider))["id"] == owner["id"]


@PROVIDERS
async def test_of_many_first_sign_ins_at_once_one_makes_the_account(phone, rows, events, provider):
    answers = await asyncio.gather(*(phone.sign_in(provider) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await rows(User), await rows(ProviderIdentity), await rows(Session)) == (1, 1, 10)
    assert (await events()).count("identity.user.registered.v1") == 1


async def test_of_first_sign_ins_with_two_addresses_at_once_one_makes_the_account(phone, rows, events):
    answers = await asyncio.gather(
        *(phone.sign_in("apple", email=f"ada{number % 2}@example.org") for number in range(10))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await rows(User), await rows(ProviderIdentity)) == (1, 1)
    assert (await events()).count("identity.user.registered.v1") == 1


async def test_both_providers_at_once_make_one_account(phone, rows):
    answers = await asyncio.gather(*(phone.sign_in(one) for one in ["apple", "google"] * 5))
    assert {answer.status_code for answer in answers} == {200}
    assert (await rows(User), await rows(ProviderIdentity)) == (1, 2)


@PROVIDERS
async def test_who_has_deleted_the_account_starts_anew_at_once(phone, client, provider):
    old = await phone.signed_in(provider)
    await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=old["bearer"])
    new = await phone.signed_in(provider)
    assert new["id"] != old["id"]
    assert (await client.get("/api/v1/users/me", headers=old["bearer"])).status_code == 401


@PROVIDERS
async def test_a_disabled_account_stays_closed(phone, service, provider):
    await phone.signed_in(provider)
    async with service.unit_of_work() as uow:
        (user,) = await uow.session.scalars(User.__table__.select().with_only_columns(User.id))
        (await uow.session.get(User, user)).is_active = False
    other = "google" if provider == "apple" else "apple"
    assert (await phone.sign_in(provider)).status_code == 401
    assert (await phone.sign_in(other)).status_code == 401


@PROVIDERS
async def test_keys_are_kept_as_long_as_the_provider_allows(phone, provider):
    for number in range(5):
        await phone.signed_in(provider, sub=f"s{number}", email=f"p{number}@gmail.com")
    assert phone.fakes[provider].asked == ["keys"]
