import asyncio

import pytest

PASSWORD = "correct horse battery staple"


async def register(client, email="ada@example.org", password=PASSWORD):
    return await client.post("/api/v1/auth/register", json={"email": email, "password": password})


async def test_registering_returns_the_account_and_announces_it(client, service, events):
    answer = await register(client)
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {
        "id", "email", "is_active", "is_verified", "created_at", "auth_provider", "updated_at",
    }  # fmt: skip
    assert (body["email"], body["is_active"], body["is_verified"]) == ("ada@example.org", True, False)
    assert await events() == ["identity.user.registered.v1"]


async def test_a_taken_address_is_refused_however_it_is_written(client, events):
    await register(client)
    answer = await register(client, "ADA@Example.org")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:irisvue:problem:email-taken"
    assert "example" not in answer.text.lower()
    assert await events() == ["identity.user.registered.v1"]


async def test_of_twenty_sign_ups_at_once_one_wins(client, events):
    answers = await asyncio.gather(*(register(client) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert await events() == ["identity.user.registered.v1"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "ada", "password": PASSWORD}, "email"),
        ({"email": "ada@example.org", "password": "hunter2"}, "password"),
        ({"email": "ada@example.org", "password": "x" * 129}, "password"),
        ({"email": "ada@example.org"}, "password"),
        ({"password": PASSWORD}, "email"),
        ([], ""),
    ],
)
async def test_bad_input_is_named_and_never_repeated(client, events, body, field):
    answer = await client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:irisvue:problem:invalid-request"
    assert isinstance(problem["detail"], str)
    assert field in {error["field"] for error in problem["errors"]}
    assert "hunter2" not in answer.text
    assert await events() == []


async def test_a_body_that_is_no_json_is_a_problem(client):
    answer = await client.post(
        "/api/v1/auth/register",
        content=b'{"password": "hunter2',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_huge_body_is_refused(client, chunked):
    async def pieces():
        for _ in range(20):
            yield b"x" * 100_000

    content = pieces() if chunked else b"x" * 2_000_000
    answer = await client.post(
        "/api/v1/auth/register", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:irisvue:problem:content-too-large"


async def test_unknown_paths_and_methods_are_problems(client):
    unknown = await client.get("/api/v1/nothing")
    wrong_method = await client.get("/api/v1/auth/register")
    assert (unknown.status_code, wrong_method.status_code) == (404, 405)
    assert unknown.json()["type"] == "urn:irisvue:problem:not-found"
    assert wrong_method.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("login/json", {"json": {"email": "ada\0@example.org", "password": PASSWORD}}, 401),
        ("login", {"data": {"username": "ada\0@example.org", "password": PASSWORD}}, 401),
        ("request-password-reset", {"json": {"email": "ada\0@example.org"}}, 200),
        ("register", {"json": {"email": "ada\0@example.org", "password": PASSWORD}}, 422),
    ],
)
async def test_an_address_that_the_database_can_not_hold_is_an_unknown_one(client, ada, path, sent, status):
    answer = await client.post(f"/api/v1/auth/{path}", **sent)
    assert answer.status_code == status
