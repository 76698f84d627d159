"""Bad input gets a problem document that repeats nothing, and changes nothing."""

from uuid import uuid4

import pytest

SECRET = "Tr0ub4dor-and-3"
BODIES = (
    {"email": f"{SECRET}-is-no-address", "password": SECRET},
    {"email": "someone@example.com", "password": {SECRET: SECRET}},
    {"email": [SECRET], "password": None},
    {"email": "someone@example.com"},
    [SECRET],
    SECRET,
    None,
)
GARBAGE = ("", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "x" * 5000)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", ["/auth/register", "/auth/login/json"])
async def test_input_of_another_form_is_refused_without_being_repeated(new_app, path, body) -> None:
    answer = await new_app().call("POST", path, bearer="", json=body)

    if path == "/auth/login/json" and isinstance(body, dict) and isinstance(body.get("password"), str):
        assert (answer.status, answer.problem) == (401, "invalid-credentials")
    else:
        assert (answer.status, answer.problem) == (422, "invalid-request")
        assert all(error.keys() == {"field", "message"} for error in answer.document["errors"])
    assert SECRET not in answer.body.decode()


async def test_body_that_is_no_json_is_refused_without_being_repeated(new_app) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await new_app().call(
        "POST", "/auth/register", bearer="", data=f'{{"{SECRET}'.encode(), headers=headers
    )

    assert answer.status in {400, 422}
    assert answer.problem
    assert SECRET not in answer.body.decode()


async def test_weak_password_is_refused_and_no_account_made(new_app) -> None:
    app = new_app()
    weak = await app.register("weak@example.com", "short")

    assert (weak.status, weak.problem) == (422, "invalid-request")
    assert [error["field"] for error in weak.document["errors"]] == ["password"]
    assert (await app.login("weak@example.com", "short")).problem == "invalid-credentials"


async def test_unknown_address_and_wrong_password_are_answered_alike(person, new_app) -> None:
    unknown = await new_app().login("nobody@example.com", SECRET)
    wrong = await new_app().login(person.email, SECRET)
    form = await new_app().login_with_form(person.email, SECRET)

    assert {(answer.status, answer.problem) for answer in (unknown, wrong, form)} == {
        (401, "invalid-credentials")
    }
    assert unknown.document["detail"] == wrong.document["detail"]


@pytest.mark.parametrize("token", GARBAGE)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/me"),
        ("DELETE", "/users/me"),
        ("GET", "/privacy/consent"),
        ("POST", "/photos/upload"),
        ("GET", "/photos/d527e29d-add8-4c85-b9aa-1a801db28694"),
    ],
)
async def test_call_without_a_good_token_is_refused(new_app, method, path, token) -> None:
    answer = await new_app().call(method, path, bearer=token)

    assert (answer.status, answer.problem) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_what_belongs_to_others_is_not_there(new_person, jpeg) -> None:
    owner, other = await new_person(), await new_person()
    await owner.agree()
    await other.agree()
    photo = await owner.take_picture(jpeg)

    answers = [
        await other.app.withdraw(owner.consent_id),
        await other.app.photo(photo["id"]),
        await other.app.delete_photo(photo["id"]),
        await other.app.confirm(photo["id"], file_size=len(jpeg), width=1, height=1),
        await other.app.photo(str(uuid4())),
    ]

    assert {(answer.status, answer.problem) for answer in answers} == {(404, "not-found")}
    assert (await other.app.photos()).document["total"] == 0
    assert (await owner.app.photo(photo["id"])).status == 200
    assert (await owner.app.biometric_status()).document["has_consent"] is True


async def test_deletion_without_confirmation_changes_nothing(person) -> None:
    unconfirmed = await person.app.delete_account(confirm=False)
    silent = await person.app.call("DELETE", "/users/me")

    assert (unconfirmed.status, unconfirmed.problem) == (400, "confirmation-missing")
    assert silent.status == 400
    assert (await person.app.me()).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"consent_type": "everything", "jurisdiction": "gdpr", "consent_text_version": "2026-01"},
        {"consent_type": "biometric_capture", "jurisdiction": SECRET + "!", "consent_text_version": "1"},
        {"consent_type": "biometric_capture", "jurisdiction": "gdpr"},
    ],
)
async def test_consent_of_another_form_is_refused_and_not_recorded(person, body) -> None:
    answer = await person.app.call("POST", "/privacy/consent", json=body)

    assert (answer.status, answer.problem) == (422, "invalid-request")
    assert SECRET not in answer.body.decode()
    assert (await person.app.consents()).document["consents"] == []


async def test_id_that_is_no_id_is_refused(person) -> None:
    for path in ("/photos/1", "/privacy/erasures/1"):
        answer = await person.app.call("GET", path)

        assert answer.status in {404, 422}
        assert answer.problem


async def test_what_does_not_exist_is_a_problem_too(new_app) -> None:
    app = new_app()
    unknown = await app.call("GET", "/nothing/here", bearer="")
    internal = await app.follow("GET", f"{app.base_url}/internal/erasures")
    method = await app.call("PUT", "/users/me", bearer="")

    assert (unknown.status, unknown.problem) == (404, "not-found")
    assert (internal.status, internal.problem) == (404, "not-found")
    assert (method.status, method.problem) == (405, "method-not-allowed")
    assert set(method.headers["Allow"].replace(" ", "").split(",")) >= {"GET", "DELETE"}


async def test_every_answer_carries_the_id_of_its_request(new_app) -> None:
    app = new_app()
    given = await app.call("GET", "/users/me", headers={"X-Request-ID": "from-the-app.42"})
    made = await app.call("GET", "/privacy/jurisdiction")
    odd = await app.call("GET", "/privacy/jurisdiction", headers={"X-Request-ID": "no spaces please"})

    assert given.headers["X-Request-ID"] == "from-the-app.42"
    assert given.document["instance"] == "urn:irisvue:request:from-the-app.42"
    assert made.headers["X-Request-ID"]
    assert odd.headers["X-Request-ID"] not in {"", "no spaces please"}
