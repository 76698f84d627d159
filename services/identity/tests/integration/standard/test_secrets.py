"""Row A-19 of the standards: no secret and no person in a log line, an error or an address."""

import json

import pytest

PASSWORD, NEXT_PASSWORD = "correct horse battery staple", "canary wobbly teapot sky"
WRONG, SHORT = "canary guess that is wrong", "canary1"
EMAIL, NEW_EMAIL, STRANGER = "ada@example.org", "ada.canary@example.net", "stranger.canary@example.com"
ADDRESS, DEVICE = "198.51.100.77", "CanaryPhone/1.0"
AUTH, ME = "/api/v1/auth", "/api/v1/users/me"
JSON = {"Content-Type": "application/json"}


class Story:
    """Plays a part of a person's life, and remembers every secret and every answer that came up."""

    def __init__(self, ada, mailbox, post_office, service_headers):
        proof = service_headers("gateway", "identity")["Authorization"].removeprefix("Bearer ")
        self.ada, self.mailbox, self.post_office = ada, mailbox, post_office
        self.headers = {"X-Forwarded-For": ADDRESS, "X-Service-Token": proof, "User-Agent": DEVICE}
        self.canaries = {PASSWORD, NEXT_PASSWORD, WRONG, SHORT, EMAIL, NEW_EMAIL, STRANGER, ADDRESS, DEVICE}
        self.canaries |= {proof, *(ada.tokens[name] for name in ("access_token", "refresh_token"))}
        self.errors: list[str] = []

    async def call(self, method, path, body=None, *, signed_in=False, **more):
        headers = {**self.headers, **more.pop("headers", {}), **(self.ada.bearer if signed_in else {})}
        answer = await self.ada.client.request(method, path, json=body, headers=headers, **more)
        if answer.status_code >= 400:
            self.errors.append(answer.text)
        elif answer.headers.get("content-type") == "application/json":
            self.canaries |= {value for name, value in answer.json().items() if "token" in name}
        return answer

    async def mailed(self):
        await self.post_office()
        self.canaries.add(self.mailbox.token())
        return self.mailbox.token()


async def signing_up_and_in(story):
    for email, password in (
        (STRANGER, PASSWORD),
        (STRANGER, PASSWORD),
        (NEW_EMAIL, SHORT),
        ("canary", WRONG),
    ):
        await story.call("POST", f"{AUTH}/register", {"email": email, "password": password})
    for email, password in ((EMAIL, WRONG), (STRANGER, PASSWORD), (NEW_EMAIL, WRONG)):
        await story.call("POST", f"{AUTH}/login/json", {"email": email, "password": password})
        form = {"username": email, "password": password}
        await story.ada.client.post(f"{AUTH}/login", data=form, headers=story.headers)
    for _ in range(12):
        await story.call("POST", f"{AUTH}/login/json", {"email": EMAIL, "password": WRONG})


async def refreshing_and_reusing(story):
    first = story.ada.tokens["refresh_token"]
    second = (await story.call("POST", f"{AUTH}/refresh", {"refresh_token": first})).json()["refresh_token"]
    for token in (second, first, second, "canary.refresh", second[:-1]):
        await story.call("POST", f"{AUTH}/refresh", {"refresh_token": token})
    await story.call("POST", f"{AUTH}/logout", {"refresh_token": second}, signed_in=True)
    await story.call("GET", ME, signed_in=True)


async def links_of_mails(story):
    token = await story.mailed()
    for _ in range(2):
        await story.call("POST", f"{AUTH}/verify-email", {"token": token})
    await story.call("PATCH", ME, {"email": NEW_EMAIL}, signed_in=True)
    await story.call("POST", f"{AUTH}/request-password-reset", {"email": EMAIL})
    await story.post_office()
    story.canaries |= {
        story.mailbox.token(n) for n, mail in enumerate(story.mailbox.messages) if "#token=" in str(mail)
    } - {""}
    token = next(
        story.mailbox.token(n)
        for n, mail in enumerate(story.mailbox.messages)
        if mail["Subject"] == "Reset your password"
    )
    for password in (SHORT, EMAIL, NEXT_PASSWORD, NEXT_PASSWORD):
        await story.call("POST", f"{AUTH}/reset-password", {"token": token, "new_password": password})


async def bad_input(story):
    spoiled = json.dumps({"email": EMAIL, "password": PASSWORD})
    for path in ("register", "login/json", "refresh", "verify-email", "reset-password", "apple", "google"):
        for content in (spoiled[:-1], f"[{spoiled}]", f'"{WRONG}"', spoiled.replace("email", WRONG)):
            await story.call("POST", f"{AUTH}/{path}", content=content, headers=JSON)
    for scheme in ("Bearer", "Basic", "Canary"):
        await story.call("GET", ME, headers={"Authorization": f"{scheme} {WRONG}"})
    await story.call("GET", f"/{NEW_EMAIL}/{WRONG}")
    await story.call("GET", f"{ME}?email={NEW_EMAIL}&access_token={story.ada.tokens['access_token']}")
    await story.call("DELETE", f"{AUTH}/sessions/{WRONG}", signed_in=True)


async def link_to_an_erasure(story):
    deletion = (await story.call("DELETE", ME, {"confirm": True}, signed_in=True)).json()
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}"
    for token in (deletion["status_token"], WRONG, deletion["status_token"][:-1]):
        await story.call("GET", path, params={"token": token})
        await story.call("GET", path, headers={"X-Erasure-Token": token})


STORIES = {
    "A-19-sign-up-and-in": signing_up_and_in,
    "A-19-refresh-tokens": refreshing_and_reusing,
    "A-19-links-of-mails": links_of_mails,
    "A-19-bad-input": bad_input,
    "A-19-link-to-an-erasure": link_to_an_erasure,
}


@pytest.mark.parametrize("play", STORIES.values(), ids=STORIES)
async def test_no_secret_and_no_person_is_in_a_log_line_or_an_error(
    ada, mailbox, post_office, service_headers, capsys, caplog, play
):
    story = Story(ada, mailbox, post_office, service_headers)
    capsys.readouterr()
    await play(story)
    logged = "".join(capsys.readouterr())
    assert "request" in logged
    warnings = "".join(record.getMessage() for record in caplog.records if record.levelname != "INFO")
    assert story.errors
    shown = {"log": logged + warnings, "errors": "".join(story.errors)}
    assert len(story.canaries) > 10
    for canary in story.canaries:
        assert [place for place, text in shown.items() if canary in text] == [], canary


@pytest.mark.parametrize("row", ["A-19-nothing-secret-in-an-address"])
async def test_no_path_and_no_query_takes_a_secret_or_a_person(client, row):
    document = (await client.get("/openapi.json")).json()
    named = {
        (path, parameter["name"])
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "header"
    }
    # The public API promises the query form for what is opened in a browser; no log names a query.
    beside = {
        (path, name)
        for path, name in named
        if name not in {"page", "page_size"}
        if not name.endswith("_id") and not path.startswith(("/health", "/api/v1/privacy/erasures/"))
    }
    assert named, row
    assert beside == set()


@pytest.mark.parametrize(
    ("method", "path", "body", "signed_in", "status"),
    [
        pytest.param("GET", ME, None, True, 200, id="A-19-no-store-account"),
        pytest.param("GET", f"{AUTH}/sessions", None, True, 200, id="A-19-no-store-sessions"),
        pytest.param("GET", f"{AUTH}/passkeys", None, True, 200, id="A-19-no-store-passkeys"),
        pytest.param(
            "POST",
            f"{AUTH}/login/json",
            {"email": EMAIL, "password": PASSWORD},
            False,
            200,
            id="A-19-no-store-tokens",
        ),
        pytest.param("GET", f"{AUTH}/reset-password", None, False, 200, id="A-19-no-store-pages"),
        pytest.param("GET", ME, None, False, 401, id="A-19-no-store-refusals"),
        pytest.param("POST", f"{AUTH}/register", {}, False, 422, id="A-19-no-store-complaints"),
        pytest.param("GET", "/nowhere", None, False, 404, id="A-19-no-store-nothing"),
    ],
)
async def test_no_answer_about_a_person_may_be_kept(client, ada, method, path, body, signed_in, status):
    headers = ada.bearer if signed_in else {}
    answer = await client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.headers.get_list("cache-control")) == (status, ["no-store"])
