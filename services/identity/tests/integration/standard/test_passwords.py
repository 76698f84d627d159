"""Rows A-01 to A-03 of the standards: which passwords are taken, and how they are kept."""

import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters
from pydantic import ValidationError
from sqlalchemy import text
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from identity.mail.pages import RESET_PASSWORD_PAGE
from identity.password_strength import is_weak_password

PASSWORD = "correct horse battery staple"
EMAIL = "ada@example.org"
COMPOSED = unicodedata.normalize("NFC", "Café crème à Köln")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
LONG = "the quick brown otter naps under seventy-two bytes of hash, or does it? " + "tail"


@pytest.fixture(scope="session")
def settings(production_settings):
    return production_settings


async def ask(client, path, body, headers=None):
    return await client.post(f"/api/v1/auth/{path}", json=body, headers=headers or {})


async def register(client, password, email=EMAIL):
    return await ask(client, "register", {"email": email, "password": password})


async def log_in(client, password, email=EMAIL):
    return (await ask(client, "login/json", {"email": email, "password": password})).status_code


TAKEN = {
    "A-01-eight-small-letters": "kxqvzmwj",
    "A-01-fifteen-small-letters": "wobblyteapotsky",
    "A-01-no-kinds-of-characters-demanded": "дом стоит у реки",
    "A-01-signs-beyond-the-keyboard": "🦊🐙🦉🐌🦀🐝🦋🐢",
    "A-01-sixty-four-characters": "four score and seven years ago our fathers brought forth on this"[:64],
    "A-01-one-hundred-and-twenty-eight": ("an unusually long sentence about otters " * 4)[:128],
    "A-01-128-composed-characters-sent-in-parts": unicodedata.normalize("NFD", ("é" * 9 + "à l'été ") * 7),
}


@pytest.mark.parametrize("password", TAKEN.values(), ids=TAKEN)
async def test_a_password_that_nobody_would_try_is_taken(client, password):
    assert (await register(client, password)).status_code == 201
    assert await log_in(client, password) == 200


REFUSED = {
    "A-01-seven-characters": "kxqvzmw",
    "A-01-seven-characters-in-fourteen-parts": unicodedata.normalize("NFD", "éàüöäîç"),
    "A-01-one-hundred-and-twenty-nine": "k" * 129,
    "A-01-common": "password1!",
    "A-01-common-in-disguise": "P@ssw0rd!",
    "A-01-common-twice": "passwordpassword",
    "A-01-walk-on-the-keyboard": "qwertyuiop",
    "A-01-a-date": "19871203",
    "A-01-one-letter-often": "aaaaaaaaaaaaaaa",
    "A-01-the-address": EMAIL,
    "A-01-part-of-the-address": "exampleexample",
    "A-01-the-product": "irisvueirisvue",
}


@pytest.mark.parametrize("password", REFUSED.values(), ids=REFUSED)
async def test_a_password_that_somebody_would_try_is_refused(client, events, password):
    assert (await register(client, password)).status_code == 422
    assert await events() == []


@pytest.mark.parametrize("row", ["A-01-breached-passwords"])
def test_the_most_used_leaked_passwords_are_all_refused(row):
    leaked = [word for word in FREQUENCY_LISTS["passwords"][:10_000] if len(word) >= 8]
    assert len(leaked) >= 3_000, row
    assert [word for word in leaked if not is_weak_password(word, email=EMAIL, min_length=8)] == []


async def to_change(client, ada, _mailbox, _post_office, password):
    body = {"current_password": PASSWORD, "new_password": password}
    return await ask(client, "change-password", body, ada.bearer)


async def to_reset(client, ada, mailbox, post_office, password):
    await ask(client, "request-password-reset", {"email": ada.email})
    await post_office()
    return await ask(client, "reset-password", {"token": mailbox.token(), "new_password": password})


@pytest.mark.parametrize("password", ["passwordpassword", EMAIL])
@pytest.mark.parametrize("way", [to_change, to_reset], ids=["A-01-change", "A-01-reset"])
async def test_a_later_password_is_judged_like_the_first(client, ada, mailbox, post_office, way, password):
    refused = await way(client, ada, mailbox, post_office, password)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:irisvue:problem:weak-password")
    assert await log_in(client, PASSWORD) == 200
    assert (await way(client, ada, mailbox, post_office, "wobblyteapotsky")).status_code == 200


@pytest.mark.parametrize(
    ("length", "password", "weak"),
    [
        pytest.param(15, "wobblyteapotsk", True, id="A-01-fourteen-where-fifteen-are-asked"),
        pytest.param(15, "wobblyteapotsky", False, id="A-01-fifteen-where-fifteen-are-asked"),
        pytest.param(8, "wobblyteapotsk", False, id="A-01-eight-by-default"),
    ],
)
def test_the_shortest_length_is_a_setting(settings, length, password, weak):
    assert settings.password_min_length == 8
    assert is_weak_password(password, email=EMAIL, min_length=length) is weak


@pytest.mark.parametrize("row", ["A-01-password-managers"])
def test_the_page_lets_password_managers_work(row):
    assert 'type="password" autocomplete="new-password"' in RESET_PASSWORD_PAGE, row
    assert "onpaste" not in RESET_PASSWORD_PAGE


@pytest.mark.parametrize(
    ("chosen", "typed", "status"),
    [
        pytest.param(COMPOSED, DECOMPOSED, 200, id="A-02-composed-then-decomposed"),
        pytest.param(DECOMPOSED, COMPOSED, 200, id="A-02-decomposed-then-composed"),
        pytest.param(LONG, LONG, 200, id="A-02-longer-than-72-bytes"),
        pytest.param(LONG, LONG[:72], 401, id="A-02-cut-at-72-bytes"),
        pytest.param(LONG, LONG[:-1] + "L", 401, id="A-02-another-tail-beyond-72-bytes"),
        pytest.param(COMPOSED, COMPOSED.upper(), 401, id="A-02-another-case"),
        pytest.param(COMPOSED, COMPOSED + " ", 401, id="A-02-a-blank-more"),
        pytest.param(f" {COMPOSED} ", f" {COMPOSED} ", 200, id="A-02-blanks-around"),
        pytest.param(f" {COMPOSED} ", COMPOSED, 401, id="A-02-blanks-are-part-of-it"),
        pytest.param("wobbly\x00teapotsky", "wobbly", 401, id="A-02-nothing-ends-at-a-zero-byte"),
    ],
)
async def test_a_password_is_checked_whole_and_as_typed(client, chosen, typed, status):
    assert len(LONG[:72].encode()) == 72 < len(LONG)
    assert (await register(client, chosen)).status_code == 201
    assert await log_in(client, typed) == status


@pytest.fixture
def stored(service):
    """Return a function that reads, or first replaces, the stored hash of an address."""

    async def _stored(email=EMAIL, *, new=None) -> str:
        where = {"email": email, "new": new}
        async with service.unit_of_work() as uow:
            if new is not None:
                change = "UPDATE identity.users SET password_hash = :new WHERE email = :email"
                await uow.session.execute(text(change), where)
            found = "SELECT password_hash FROM identity.users WHERE email = :email"
            return await uow.session.scalar(text(found), where)

    return _stored


@pytest.mark.parametrize("row", ["A-03-argon2id"])
async def test_a_hash_says_how_it_was_made_and_differs_each_time(client, ada, stored, row):
    await register(client, PASSWORD, "bob@example.org")
    mine, others = await stored(), await stored("bob@example.org")
    found = extract_parameters(mine)
    assert mine.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), row
    assert (found.salt_len, found.hash_len) == (16, 32)
    assert mine != others


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1), id="A-03-weaker"),
        pytest.param(PasswordHasher(time_cost=3, memory_cost=32768, parallelism=2), id="A-03-other"),
    ],
)
async def test_a_sign_in_renews_a_hash_of_other_parameters(client, ada, stored, old):
    await stored(new=old.hash(PASSWORD))
    assert await log_in(client, "wrong password") == 401
    assert extract_parameters(await stored()).memory_cost == old.memory_cost
    assert await log_in(client, PASSWORD) == 200
    renewed = await stored()
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await log_in(client, PASSWORD) == 200
    assert await stored() == renewed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("argon2_memory_kib", 19455, id="A-03-too-little-memory"),
        pytest.param("argon2_iterations", 1, id="A-03-too-few-passes"),
        pytest.param("argon2_parallelism", 0, id="A-03-no-lane"),
    ],
)
def test_no_setting_makes_hashes_weaker_than_the_standard(settings, name, value):
    with pytest.raises(ValidationError):
        type(settings).model_validate({**settings.model_dump(), name: value})
