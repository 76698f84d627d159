"""What no passkey route accepts, and what an erasure leaves of passkeys."""

import base64
import json
import random
from datetime import timedelta
from uuid import UUID

import cbor2
import pytest
import structlog
from sqlalchemy import text

from identity.repositories import PasskeyChallenges
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
    CAN_BE_BACKED_UP,
    RP_ID,
    USER_PRESENT,
    USER_VERIFIED,
    VirtualAuthenticator,
    decode,
    encode,
)


def client_data(answer, **changes):
    """Return the answer with other client data; its signature does not cover them."""
    said = json.loads(decode(answer["response"]["clientDataJSON"])) | changes
    answer["response"]["clientDataJSON"] = encode(json.dumps(said).encode())
    return answer


BENT = {
    "another origin": lambda phone: setattr(phone, "origin", "https://evil.example"),
    "another domain": lambda phone: setattr(phone, "rp_id", "evil.example"),
    "nobody verified": lambda phone: setattr(phone, "flags", USER_PRESENT),
    "nobody present": lambda phone: setattr(phone, "flags", USER_VERIFIED),
}


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
async def test_a_bent_registration_adds_nothing(ada, service, bend):
    phone = VirtualAuthenticator()
    bend(phone)
    answer = await add(ada, phone)
    assert (answer.status_code, slug(answer)) == (400, "passkey-not-verified")
    assert "evil" not in answer.text
    assert await rows(service, "passkeys") == 0
    assert await rows(service, "passkey_challenges") == 0


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
async def test_a_bent_sign_in_opens_nothing(client, service, phone, bend):
    before = await rows(service, "sessions")
    bend(phone)
    answer = await sign_in(client, phone)
    assert (answer.status_code, slug(answer)) == (401, "invalid-credentials")
    assert "evil" not in answer.text
    assert await rows(service, "sessions") == before
    assert await rows(service, "passkey_challenges") == 0


async def test_every_refused_sign_in_looks_the_same(client, ada, phone, bob):
    stranger = VirtualAuthenticator()
    stranger.user_handle = phone.user_handle
    forger = VirtualAuthenticator()
    forger.credential_id, forger.user_handle = phone.credential_id, phone.user_handle
    as_bob = phone.copy()
    as_bob.user_handle = UUID(bob.user_id).bytes
    refusals = [await sign_in(client, each) for each in (stranger, forger, as_bob)]
    await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    refusals.append(await sign_in(client, phone))
    documents = [{**each.json(), "instance": ""} for each in refusals]
    assert documents == [documents[0]] * 4
    assert {each.status_code for each in refusals} == {401}
    assert slug(refusals[0]) == "invalid-credentials"


async def test_a_disabled_account_is_not_opened(client, ada, service, phone):
    async with service.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE identity.users SET is_active = false"))
    assert (await sign_in(client, phone)).status_code == 401


async def test_a_challenge_serves_once(client, ada, phone):
    answer = phone.get(await request_options(client))
    path = f"{BASE}/authentication/verify"
    assert (await client.post(path, json=answer)).status_code == 200
    assert (await client.post(path, json=answer)).status_code == 401
    made = VirtualAuthenticator().create(await creation_options(ada))
    path = f"{BASE}/registration/verify"
    assert (await client.post(path, json=made, headers=ada.bearer)).status_code == 200
    again = await client.post(path, json=made, headers=ada.bearer)
    assert (again.status_code, slug(again)) == (400, "passkey-not-verified")


async def test_a_failed_attempt_uses_the_challenge_up(client, phone):
    options = await request_options(client)
    forger = phone.copy()
    forger.flags = USER_PRESENT
    path = f"{BASE}/authentication/verify"
    assert (await client.post(path, json=forger.get(options))).status_code == 401
    assert (await client.post(path, json=phone.get(options))).status_code == 401


async def test_a_challenge_expires_and_is_swept_away(client, ada, service, phone, clock):
    options = await request_options(client)
    made = VirtualAuthenticator().create(await creation_options(ada))
    clock.advance(timedelta(minutes=5))
    answer = await client.post(f"{BASE}/authentication/verify", json=phone.get(options))
    assert answer.status_code == 401
    answer = await client.post(f"{BASE}/registration/verify", json=made, headers=ada.bearer)
    assert answer.status_code == 400
    fresh = await request_options(client)
    assert await rows(service, "passkey_challenges") == 3
    async with service.unit_of_work() as uow:
        await PasskeyChallenges(uow.session).forget_expired(now=clock.now())
    assert await rows(service, "passkey_challenges") == 1
    assert (await client.post(f"{BASE}/authentication/verify", json=phone.get(fresh))).status_code == 200


async def test_nobody_answers_the_challenge_of_another(client, ada, bob, phone):
    path = f"{BASE}/registration/verify"
    made = VirtualAuthenticator().create(await creation_options(ada))
    assert (await client.post(path, json=made, headers=bob.bearer)).status_code == 400
    # Nor does the attempt take it from whom it was made for.
    assert (await client.post(path, json=made, headers=ada.bearer)).status_code == 200


async def test_a_challenge_serves_only_what_it_was_made_for(client, ada, phone):
    for_sign_in = (await request_options(client))["challenge"]
    options = await creation_options(ada)
    made = VirtualAuthenticator().create({**options, "challenge": for_sign_in})
    answer = await client.post(f"{BASE}/registration/verify", json=made, headers=ada.bearer)
    assert answer.status_code == 400
    signed = phone.get({"rpId": RP_ID, "challenge": options["challenge"]})
    assert (await client.post(f"{BASE}/authentication/verify", json=signed)).status_code == 401


async def test_an_invented_challenge_is_refused(client, phone):
    signed = phone.get({"rpId": RP_ID, "challenge": encode(bytes(32))})
    assert (await client.post(f"{BASE}/authentication/verify", json=signed)).status_code == 401


async def test_a_page_inside_a_page_is_refused(client, phone):
    answer = client_data(phone.get(await request_options(client)), crossOrigin=True)
    assert (await client.post(f"{BASE}/authentication/verify", json=answer)).status_code == 401


async def test_a_registration_can_not_be_passed_off_as_a_sign_in(client, phone):
    answer = client_data(phone.get(await request_options(client)), type="webauthn.create")
    assert (await client.post(f"{BASE}/authentication/verify", json=answer)).status_code == 401


async def test_a_copied_authenticator_is_found_out(client, ada, service):
    phone = VirtualAuthenticator()
    phone.counts = True
    assert (await add(ada, phone)).status_code == 200
    thief = phone.copy()
    assert (await sign_in(client, phone)).status_code == 200
    before = await rows(service, "sessions")
    with structlog.testing.capture_logs() as logs:
        assert (await sign_in(client, thief)).status_code == 401
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "passkey_counter_went_back"
    ]
    thief.counts, thief.sign_count = False, 0
    assert (await sign_in(client, thief)).status_code == 401
    assert await rows(service, "sessions") == before
    assert (await sign_in(client, phone)).status_code == 200


async def test_a_credential_belongs_to_whoever_registered_it_first(client, ada, bob, phone):
    for person in (ada, bob):
        answer = await add(person, phone.copy())
        assert (answer.status_code, slug(answer)) == (409, "passkey-known")
    assert (await sign_in(client, phone)).status_code == 200


async def test_an_erasure_leaves_no_passkey_and_no_challenge(client, ada, bob, service, holdings, phone):
    await creation_options(ada)
    await add(bob, VirtualAuthenticator())
    ada_id = UUID(ada.user_id)
    held = (await holdings.count([ada_id]))[ada_id]
    assert (held["passkeys"], held["passkey_challenges"]) == (1, 1)
    await holdings.erase([ada_id])
    assert set((await holdings.count([ada_id]))[ada_id].values()) == {0}
    assert (await rows(service, "passkeys"), await rows(service, "passkey_challenges")) == (1, 0)
    assert (await sign_in(client, phone)).status_code == 401


def attestation(answer, change):
    """Return the answer with another attestation object."""
    made = cbor2.loads(decode(answer["response"]["attestationObject"]))
    answer["response"]["attestationObject"] = encode(cbor2.dumps(change(made)))
    return answer


def with_key(key):
    def change(made):
        data = made["authData"]
        end = 37 + 16 + 2 + int.from_bytes(data[53:55], "big")
        return made | {"authData": data[:end] + cbor2.dumps(key)}

    return change


POINT = {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}
HOSTILE_ATTESTATIONS = {
    "another format": lambda made: made | {"fmt": "hunter2"},
    "no format": lambda made: {key: made[key] for key in ("attStmt", "authData")},
    "a format that is a list": lambda made: made | {"fmt": ["none"]},
    "none with a statement": lambda made: made | {"attStmt": {"sig": b"x"}},
    "packed without a statement": lambda made: made | {"fmt": "packed"},
    "packed with a wrong statement": lambda made: made | {"fmt": "packed", "attStmt": {"sig": 1, "alg": "x"}},
    "tpm of nonsense": lambda made: (
        made
        | {
            "fmt": "tpm",
            "attStmt": {"ver": "2.0", "x5c": [b"x"], "sig": b"", "certInfo": b"", "pubArea": b""},
        }
    ),
    "apple of nonsense": lambda made: made | {"fmt": "apple", "attStmt": {"x5c": [b"x", 7]}},
    "android key of nonsense": lambda made: (
        made | {"fmt": "android-key", "attStmt": {"alg": -7, "sig": b"x", "x5c": [b"x"]}}
    ),
    "safetynet of nonsense": lambda made: (
        made | {"fmt": "android-safetynet", "attStmt": {"ver": "1", "response": b"\xff.\xff.\xff"}}
    ),
    "u2f of nonsense": lambda made: made | {"fmt": "fido-u2f", "attStmt": {"sig": b"x", "x5c": [b"x"]}},
    "statement that is a number": lambda made: made | {"attStmt": 7},
    "data that are text": lambda made: made | {"authData": "hunter2"},
    "data cut short": lambda made: made | {"authData": made["authData"][:60]},
    "data with a tail": lambda made: made | {"authData": made["authData"] + b"tail"},
    "no credential": lambda made: made | {"authData": made["authData"][:32] + b"\x05" + bytes(4)},
    "backed up though it can not be": lambda made: (
        made | {"authData": made["authData"][:32] + b"\x55" + made["authData"][33:]}
    ),
    "extensions that are missing": lambda made: (
        made | {"authData": made["authData"][:32] + b"\xc5" + made["authData"][33:]}
    ),
    "a list": lambda _made: ["none"],
    "a number": lambda _made: 7,
    "a point that is not on the curve": with_key(POINT),
    "an unknown curve": with_key(POINT | {-1: 77}),
    "an unknown algorithm": with_key(POINT | {3: -65535}),
    "an unknown kind of key": with_key(POINT | {1: 99}),
    "a key of text": with_key(POINT | {-2: "hunter2", -3: "hunter2"}),
    "a key without coordinates": with_key({1: 2, 3: -7}),
    "a key that is a list": with_key([2, -7]),
    "an empty rsa key": with_key({1: 3, 3: -257, -1: b"\0", -2: b"\0"}),
    "an endless rsa key": with_key({1: 3, 3: -257, -1: b"\xff" * 4096, -2: b"\x01\x00\x01"}),
    "an ed25519 key cut short": with_key({1: 1, 3: -8, -1: 6, -2: b"short"}),
}


@pytest.mark.parametrize("change", HOSTILE_ATTESTATIONS.values(), ids=HOSTILE_ATTESTATIONS)
async def test_a_hostile_attestation_is_refused(ada, service, change):
    answer = attestation(VirtualAuthenticator().create(await creation_options(ada)), change)
    refusal = await ada.client.post(f"{BASE}/registration/verify", json=answer, headers=ada.bearer)
    assert (refusal.status_code, slug(refusal)) == (400, "passkey-not-verified"), refusal.text
    assert "hunter2" not in refusal.text
    assert await rows(service, "passkeys") == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hunter2",
        b"[]",
        b"null",
        b"{}",
        b'{"type": "webauthn.create", "challenge": 7, "origin": "https://irisvue.example"}',
        b'{"type": ["hunter2"], "challenge": "", "origin": {}}',
        b'{"type": "webauthn.create", "challenge": "\xff", "origin": ""}',
        b"[" * 4000,
        b'{"challenge": ' + b"9" * 4000 + b"}",
        "{}".encode("utf-16"),
        b"\x00" * 100,
    ],
    ids=lambda raw: repr(raw[:20]),
)
async def test_hostile_client_data_are_refused(ada, phone, raw):
    for path, answer, expected in (
        ("registration", phone.create(await creation_options(ada)), 400),
        ("authentication", phone.get(await request_options(ada.client)), 401),
    ):
        answer["response"]["clientDataJSON"] = encode(raw)
        refusal = await ada.client.post(f"{BASE}/{path}/verify", json=answer, headers=ada.bearer)
        assert refusal.status_code == (expected if raw else 422), refusal.text
        assert "hunter2" not in refusal.text


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x00b", "\ud800", "a\nb", 7, ["hunter2"]])
async def test_a_name_that_can_not_be_shown_is_refused(ada, service, name):
    made = VirtualAuthenticator().create(await creation_options(ada)) | {"name": name}
    refusal = await ada.client.post(
        f"{BASE}/registration/verify",
        content=json.dumps(made),
        headers=ada.bearer | {"Content-Type": "application/json"},
    )
    assert refusal.status_code == 422
    assert [error["field"] for error in refusal.json()["errors"]] == ["name"]
    assert "hunter2" not in refusal.text
    assert await rows(service, "passkeys") == 0


HOSTILE_VALUES = [
    None, True, -1, 2**64, 1.5, "", "hunter2!", "A", "AA==", "é", "\x00", "\ud800", "A" * 100_000,
    [], ["hunter2"], {}, {"hunter2": 1}, "none", "public-key",
]  # fmt: skip


def mutated(chance, answer):
    """Return the answer with one or two places changed: a member replaced, lost, or bent inside."""
    answer = json.loads(json.dumps(answer))
    for _ in range(chance.randint(1, 2)):
        holder = (
            chance.choice([answer, answer["response"]])
            if isinstance(answer.get("response"), dict)
            else answer
        )
        if not holder:
            continue
        name = chance.choice(sorted(holder))
        value, how = holder[name], chance.random()
        if how < 0.2:
            del holder[name]
        elif how < 0.5 or not isinstance(value, str) or len(value) < 8:
            holder[name] = chance.choice(HOSTILE_VALUES)
        else:
            holder[name] = encode(_bent(chance, base64.urlsafe_b64decode(value + "===")))
    return answer


def _bent(chance, raw):
    bent = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(bent) + 1)
        bent[position : position + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    return bytes(bent)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_sent_the_answer_is_a_problem_that_repeats_nothing(ada, service, phone, seed):
    chance = random.Random(seed)
    other = VirtualAuthenticator()
    other.flags |= CAN_BE_BACKED_UP
    for _ in range(15):
        made, signed = other.create(await creation_options(ada)), phone.get(await request_options(ada.client))
        for path, answer in (("registration", made), ("authentication", signed)):
            hostile = mutated(chance, answer)
            reply = await ada.client.post(
                f"{BASE}/{path}/verify",
                content=json.dumps(hostile),
                headers=ada.bearer | {"Content-Type": "application/json"},
            )
            # A change of what is not signed, such as the transports, may be let through.
            assert reply.status_code in {200, 400, 401, 409, 422}, (reply.status_code, hostile)
            if reply.status_code != 200:
                assert reply.headers["content-type"] == "application/problem+json"
                assert "hunter2" not in reply.text
                assert "AAAAAAAA" not in reply.text
