"""Passkeys from one end to the other, as phones and browsers use them."""

import asyncio
from uuid import UUID

import pytest

from services.identity.tests.passkey_ceremonies import (
    BASE,
    add,
    creation_options,
    request_options,
    rows,
    sign_in,
    slug,
)
from services.identity.tests.virtual_authenticator import (
    ANDROID,
    BACKED_UP,
    CAN_BE_BACKED_UP,
    IOS,
    RP_ID,
    WEB,
    VirtualAuthenticator,
    decode,
)


async def test_the_options_ask_for_a_passkey_that_finds_its_account_by_itself(ada, phone):
    options = await creation_options(ada)
    assert options["rp"] == {"id": RP_ID, "name": "IrisVue"}
    assert options["user"]["name"] == ada.email
    assert decode(options["user"]["id"]) == UUID(ada.user_id).bytes
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert options["attestation"] == "none"
    assert options["timeout"] == 300_000
    assert {"type": "public-key", "alg": -7} in options["pubKeyCredParams"]
    (excluded,) = options["excludeCredentials"]
    assert decode(excluded["id"]) == phone.credential_id
    assert excluded["transports"] == ["hybrid", "internal"]
    assert len(decode(options["challenge"])) == 32


async def test_the_options_of_a_sign_in_are_alike_for_everybody(client):
    first, second = await request_options(client), await request_options(client)
    assert first.pop("challenge") != second.pop("challenge")
    assert first == second
    assert first == {
        "rpId": RP_ID, "timeout": 300_000, "allowCredentials": [], "userVerification": "required",
    }  # fmt: skip


async def test_a_passkey_signs_its_owner_in(client, ada, phone):
    answer = await sign_in(client, phone)
    assert answer.status_code == 200
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 1800)
    ada.tokens = tokens
    me = await client.get("/api/v1/users/me", headers=ada.bearer)
    assert me.json()["id"] == ada.user_id
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 200
    (listed,) = (await client.get(BASE, headers=ada.bearer)).json()["passkeys"]
    assert listed["last_used_at"] is not None


@pytest.mark.parametrize("origin", [WEB, IOS, ANDROID])
async def test_the_page_and_both_apps_sign_in(client, ada, origin):
    phone = VirtualAuthenticator(origin)
    assert (await add(ada, phone)).status_code == 200
    assert (await sign_in(client, phone)).status_code == 200


async def test_an_app_with_another_certificate_is_refused(client, phone):
    phone.origin = ANDROID[:-1] + "A"
    assert (await sign_in(client, phone)).status_code == 401


@pytest.mark.parametrize(
    ("aaguid", "extra", "name"),
    [
        ("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", {}, "Apple Passwords"),
        ("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4", {}, "Google Password Manager"),
        ("00000000-0000-0000-0000-000000000000", {}, "Passkey"),
        ("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", {"name": " Ada's 📱 "}, "Ada's 📱"),
    ],
)
async def test_a_passkey_is_listed_under_a_name_that_says_where_it_is(client, ada, aaguid, extra, name):
    phone = VirtualAuthenticator()
    phone.aaguid = UUID(aaguid).bytes
    phone.flags |= CAN_BE_BACKED_UP | BACKED_UP
    added = await add(ada, phone, **extra)
    assert added.status_code == 200, added.text
    (listed,) = added.json()["passkeys"]
    assert set(listed) == {"id", "name", "credential_id", "backed_up", "created_at", "last_used_at"}
    assert (listed["name"], listed["backed_up"], listed["last_used_at"]) == (name, True, None)
    assert decode(listed["credential_id"]) == phone.credential_id
    assert (await client.get(BASE, headers=ada.bearer)).json() == added.json()


async def test_a_counter_that_runs_is_followed(client, ada):
    phone = VirtualAuthenticator()
    phone.counts, phone.sign_count = True, 2**32 - 10
    assert (await add(ada, phone)).status_code == 200
    assert [(await sign_in(client, phone)).status_code for _ in range(3)] == [200, 200, 200]


async def test_only_its_owner_sees_or_removes_a_passkey(client, ada, bob, phone):
    (listed,) = (await client.get(BASE, headers=ada.bearer)).json()["passkeys"]
    assert (await client.get(BASE, headers=bob.bearer)).json() == {"passkeys": []}
    path = f"{BASE}/{listed['id']}"
    assert (await client.delete(path, headers=bob.bearer)).status_code == 404
    assert (await client.delete(path, headers=ada.bearer)).status_code == 204
    assert (await client.delete(path, headers=ada.bearer)).status_code == 404
    assert (await client.get(BASE, headers=ada.bearer)).json() == {"passkeys": []}


async def test_a_removed_passkey_signs_nobody_in(client, ada, phone):
    options = await request_options(client)
    (listed,) = (await client.get(BASE, headers=ada.bearer)).json()["passkeys"]
    await client.delete(f"{BASE}/{listed['id']}", headers=ada.bearer)
    answer = await client.post(f"{BASE}/authentication/verify", json=phone.get(options))
    assert (answer.status_code, slug(answer)) == (401, "invalid-credentials")
    assert (await sign_in(client, phone)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/registration/options"),
        ("POST", "/registration/verify"),
        ("GET", ""),
        ("DELETE", "/019ab0c4-1000-7001-8001-0000316edc57"),
    ],
)
async def test_without_a_token_no_passkey_is_touched(client, method, path):
    phone = VirtualAuthenticator()
    body = phone.create({"user": {"id": "AAAA"}, "rp": {"id": RP_ID}, "challenge": "AAAA"})
    assert (await client.request(method, BASE + path, json=body)).status_code == 401


async def test_an_account_has_at_most_ten_passkeys(client, ada):
    eleventh = VirtualAuthenticator().create(await creation_options(ada))
    for _ in range(10):
        assert (await add(ada, VirtualAuthenticator())).status_code == 200
    refused = await client.post(f"{BASE}/registration/options", headers=ada.bearer)
    late = await client.post(f"{BASE}/registration/verify", json=eleventh, headers=ada.bearer)
    for answer in (refused, late):
        assert (answer.status_code, slug(answer)) == (409, "too-many-passkeys")
    listed = (await client.get(BASE, headers=ada.bearer)).json()["passkeys"]
    assert len(listed) == 10
    await client.delete(f"{BASE}/{listed[0]['id']}", headers=ada.bearer)
    assert (await add(ada, VirtualAuthenticator())).status_code == 200


async def test_of_twenty_answers_with_one_assertion_one_opens_a_session(client, ada, service, phone):
    before = await rows(service, "sessions")
    answer = phone.get(await request_options(client))
    answers = await asyncio.gather(
        *(client.post(f"{BASE}/authentication/verify", json=answer) for _ in range(20))
    )
    assert sorted(each.status_code for each in answers) == [200] + [401] * 19
    assert await rows(service, "sessions") == before + 1


async def test_of_twelve_passkeys_added_at_once_ten_find_room(ada):
    made = [VirtualAuthenticator().create(await creation_options(ada)) for _ in range(12)]
    answers = await asyncio.gather(
        *(ada.client.post(f"{BASE}/registration/verify", json=each, headers=ada.bearer) for each in made)
    )
    assert sorted(each.status_code for each in answers) == [200] * 10 + [409] * 2
