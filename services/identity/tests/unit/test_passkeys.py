import json
from uuid import UUID

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from cluster.secret_values import signing_key
from identity.passkeys.policy import counter_went_back, passkey_name
from identity.passkeys.relying_party import RelyingParty, UnverifiedAnswer, challenge_of
from identity.passkeys.schemas import AuthenticationAnswer, RegistrationAnswer
from identity.passkeys.settings import PasskeySettings
from services.identity.tests.virtual_authenticator import (
    ANDROID,
    IOS,
    RP_ID,
    WEB,
    VirtualAuthenticator,
    decode,
    encode,
)

PARTY = RelyingParty(id=RP_ID, name="IrisVue", origins=[WEB, IOS, ANDROID])
CHALLENGE = bytes(range(32))


class Settings(PasskeySettings):
    model_config = SettingsConfigDict(env_prefix="IDENTITY_")


def settings(**values):
    return Settings(port=1, service_key=signing_key(), service_public_keys={}, **values)


def creation_options():
    return PARTY.creation_options(challenge=CHALLENGE, user_handle=b"handle", user_name="ada", known=[])


def signed_in_once():
    phone = VirtualAuthenticator()
    answer = RegistrationAnswer.model_validate(phone.create(creation_options()))
    return phone, PARTY.verify_registration(answer, challenge=CHALLENGE)


@pytest.mark.parametrize(
    ("stored", "reported", "copied"),
    [(0, 0, False), (0, 1, False), (7, 8, False), (7, 7, True), (7, 6, True), (7, 0, True)],
)
def test_a_counter_that_does_not_grow_means_a_copy_unless_nobody_counts(stored, reported, copied):
    assert counter_went_back(stored=stored, reported=reported) is copied


def test_a_name_of_the_owner_wins_over_that_of_the_provider():
    samsung = UUID("53414d53-554e-4700-0000-000000000000")
    assert [passkey_name(None, samsung), passkey_name("mine", samsung)] == ["Samsung Pass", "mine"]


@pytest.mark.parametrize(
    ("public_url", "rp_id", "origins"),
    [
        ("http://localhost:8000", "localhost", ["http://localhost:8000"]),
        ("https://App.IrisVue.example/", "app.irisvue.example", ["https://app.irisvue.example"]),
    ],
)
def test_by_default_passkeys_belong_to_the_public_address(public_url, rp_id, origins):
    read = settings(public_url=public_url)
    party = RelyingParty.of(read)
    assert (party.id, party.origins) == (rp_id, origins)


@pytest.mark.parametrize("text", [f"{WEB}, {IOS},{ANDROID}", json.dumps([WEB, IOS, ANDROID])])
def test_origins_are_a_list_in_one_variable(monkeypatch, text):
    monkeypatch.setenv("IDENTITY_PASSKEY_ORIGINS", text)
    monkeypatch.setenv("IDENTITY_PASSKEY_RP_ID", RP_ID)
    assert RelyingParty.of(settings()) == PARTY


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("IDENTITY_PASSKEY_ORIGINS", "")
    monkeypatch.setenv("IDENTITY_PASSKEY_RP_ID", "")
    monkeypatch.setenv("IDENTITY_PASSKEY_RP_NAME", "")
    party = RelyingParty.of(settings())
    assert (party.id, party.name, party.origins) == ("localhost", "IrisVue", ["http://localhost:8000"])


@pytest.mark.parametrize(
    "origin", ["irisvue.example", "https://irisvue.example/", "ftp://x", "android:apk-key-hash:short", "*"]
)
def test_what_is_no_origin_is_refused_at_the_start(origin):
    with pytest.raises(ValidationError, match="must read like"):
        settings(passkey_origins=(origin,))


def with_attestation(phone, fmt, statement, key):
    answer = phone.create(creation_options())
    made = cbor2.loads(decode(answer["response"]["attestationObject"]))
    end = 37 + 18 + len(phone.credential_id)
    data = made["authData"][:end] + cbor2.dumps(key)
    attestation = cbor2.dumps({"fmt": fmt, "attStmt": statement, "authData": data})
    answer["response"]["attestationObject"] = encode(attestation)
    return RegistrationAnswer.model_validate(answer)


def test_an_ed25519_key_is_taken():
    phone = VirtualAuthenticator()
    answer = with_attestation(phone, "none", {}, ED25519)
    assert PARTY.verify_registration(answer, challenge=CHALLENGE).credential_id == phone.credential_id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3)
    ),
    max_leaves=8,
)
CBOR = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.binary(max_size=80) | st.text(max_size=10),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.integers(-300, 300) | st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_an_answer_or_invalid(value):
    for model in (RegistrationAnswer, AuthenticationAnswer):
        with pytest.raises(ValidationError):
            model.model_validate(value)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_client_data_are_read_or_refused(raw):
    with pytest.raises(UnverifiedAnswer):
        challenge_of(raw)


FORMATS = ["none", "packed", "tpm", "apple", "android-key", "android-safetynet", "fido-u2f", "compound"]
MEMBERS = ("sig", "x5c", "alg", "ver", "response", "certInfo", "pubArea")
STATEMENTS = CBOR | st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, CBOR | st.lists(st.binary())))
ED25519 = {1: 1, 3: -8, -1: 6, -2: bytes(31) + b"\x01"}


@given(st.sampled_from(FORMATS), STATEMENTS, st.just(ED25519) | CBOR, st.integers(0, 255))
def test_any_attestation_is_refused_or_whole(fmt, statement, key, flags):
    phone = VirtualAuthenticator()
    phone.flags |= flags
    answer = with_attestation(phone, fmt, statement, key)
    try:
        made = PARTY.verify_registration(answer, challenge=CHALLENGE)
    except UnverifiedAnswer:
        return
    assert (fmt, key, made.credential_id) == ("none", ED25519, phone.credential_id)


PHONE, CREDENTIAL = signed_in_once()


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=200))
def test_any_assertion_that_is_not_signed_is_refused(data, signature):
    answer = PHONE.get({"rpId": RP_ID, "challenge": encode(CHALLENGE)})
    for name, value in (("authenticatorData", data), ("signature", signature)):
        response = answer["response"] | {name: encode(value)}
        forged = AuthenticationAnswer.model_validate(answer | {"response": response})
        with pytest.raises(UnverifiedAnswer):
            PARTY.verify_sign_in(forged, challenge=CHALLENGE, public_key=CREDENTIAL.public_key)
    genuine = AuthenticationAnswer.model_validate(answer)
    said = PARTY.verify_sign_in(genuine, challenge=CHALLENGE, public_key=CREDENTIAL.public_key)
    assert said.sign_count == 0
