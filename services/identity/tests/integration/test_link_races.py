"""S6: links of mails used twenty times at once, again, late, and asked for under a false host."""

import asyncio
from datetime import timedelta

import pytest

NEW_PASSWORD = "an entirely different phrase"
EVIL = "evil.example"
INVALID = "urn:irisvue:problem:invalid-mail-token"
AUTH, ME = "/api/v1/auth", "/api/v1/users/me"


@pytest.fixture(scope="session")
def settings(production_settings):
    return production_settings


@pytest.fixture(params=["verify", "reset"], ids="S6-{}".format)
async def link(request, client, ada, mailbox, post_office):
    """Return what uses the newest link of that kind: `await link()`."""
    await post_office()
    if request.param == "reset":
        await client.post(f"{AUTH}/request-password-reset", json={"email": ada.email})
        await post_office()
    token = mailbox.token()

    async def use(**headers):
        if request.param == "reset":
            body = {"token": token, "new_password": NEW_PASSWORD}
            return await client.post(f"{AUTH}/reset-password", json=body, headers=headers)
        return await client.post(f"{AUTH}/verify-email", json={"token": token}, headers=headers)

    use.token, use.kind = token, request.param
    return use


@pytest.mark.parametrize("row", ["S6-A-06-twenty-at-once"])
async def test_of_twenty_uses_at_once_one_changes_something(link, events, row):
    answers = await asyncio.gather(*(link() for _ in range(20)))
    # A password is set once; an address that is confirmed already is confirmed for whoever asks again.
    repeated = {"verify": 200, "reset": 401}[link.kind]
    assert sorted(answer.status_code for answer in answers) == [200] + [repeated] * 19, row
    changes = {"verify": "identity.user.verified.v1", "reset": "identity.session.revoked.v1"}
    assert (await events()).count(changes[link.kind]) == 1


@pytest.mark.parametrize("row", ["S6-A-06-replay"])
async def test_a_used_link_changes_nothing_more(link, events, clock, settings, row):
    first = await link()
    assert first.status_code == 200, row
    before = await events()
    for _ in range(3):
        again = await link()
        if link.kind == "verify":
            assert (again.status_code, again.json()) == (200, first.json())
        else:
            assert (again.status_code, again.json()["type"]) == (401, INVALID)
    assert await events() == before
    clock.advance(timedelta(hours=settings.verify_hours))
    assert (await link()).json()["type"] == INVALID


async def test_a_used_link_confirms_no_address_that_was_changed_since(client, ada, mailbox, post_office):
    tokens = {}
    for email in ("first@example.org", "second@example.org"):
        await client.patch(ME, json={"email": email}, headers=ada.bearer)
        await post_office()
        (number,) = [n for n, mail in enumerate(mailbox.messages) if mail["To"] == email]
        tokens[email] = mailbox.token(number)
        for _ in range(2):
            answer = await client.post(f"{AUTH}/verify-email", json={"token": tokens[email]})
            assert answer.status_code == 200
    late = await client.post(f"{AUTH}/verify-email", json={"token": tokens["first@example.org"]})
    assert late.status_code == 401
    assert (await client.get(ME, headers=ada.bearer)).json()["email"] == "second@example.org"


@pytest.mark.parametrize(
    ("late", "status"),
    [pytest.param(-1, 200, id="S6-A-06-in-time"), pytest.param(1, 401, id="S6-A-06-late")],
)
async def test_a_link_ends_at_its_second(link, service, clock, late, status):
    settings = service.settings
    lives = {
        "verify": timedelta(hours=settings.verify_hours),
        "reset": timedelta(minutes=settings.reset_minutes),
    }
    clock.advance(lives[link.kind] + timedelta(seconds=late))
    assert (await link()).status_code == status


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t + "A", lambda t: t.swapcase(), lambda _: "", lambda _: "A" * 43]
)
async def test_a_token_that_differs_in_anything_is_unknown(client, link, spoil):
    for path, more in (("verify-email", {}), ("reset-password", {"new_password": NEW_PASSWORD})):
        answer = await client.post(f"{AUTH}/{path}", json={"token": spoil(link.token), **more})
        assert answer.status_code == 401
    assert (await link()).status_code == 200


POISON = {
    "S6-A-06-host": {"Host": EVIL},
    "S6-A-06-x-forwarded-host": {"X-Forwarded-Host": EVIL},
    "S6-A-06-forwarded": {"Forwarded": f"host={EVIL};proto=http"},
    "S6-A-06-all-of-them": {
        "Host": f"{EVIL}:443",
        "X-Forwarded-Host": f"{EVIL}, localhost",
        "X-Forwarded-Server": EVIL,
        "X-Original-URL": f"https://{EVIL}/",
        "X-Forwarded-Proto": "gopher",
        "Origin": f"https://{EVIL}",
        "Referer": f"https://{EVIL}/reset",
    },
}


@pytest.mark.parametrize("headers", POISON.values(), ids=POISON)
async def test_no_header_of_a_request_changes_a_link(client, ada, settings, mailbox, post_office, headers):
    body = {"email": "eve@example.org", "password": NEW_PASSWORD}
    await client.post(f"{AUTH}/register", json=body, headers=headers)
    await client.post(f"{AUTH}/request-password-reset", json={"email": ada.email}, headers=headers)
    await client.post(f"{AUTH}/resend-verification", headers=headers | ada.bearer)
    await client.patch(ME, json={"email": "new@example.org"}, headers=headers | ada.bearer)
    subjects = await post_office()
    assert len(subjects) == 6
    with_links = [number for number, mail in enumerate(mailbox.messages) if "#token=" in str(mail)]
    assert len(with_links) == 5
    for number in with_links:
        assert mailbox.link(number).startswith(f"{settings.link_base}/")
    assert EVIL not in "".join(str(mail) for mail in mailbox.messages)


@pytest.mark.parametrize("verified", [True, False], ids="S6-A-06-old-sessions-verified-{}".format)
async def test_no_session_of_before_survives_a_reset(
    client, ada, mailbox, post_office, gateway_headers, verified
):
    await post_office()
    if verified:
        await client.post(f"{AUTH}/verify-email", json={"token": mailbox.token()})
    sessions = [ada.tokens, await ada.log_in(), await ada.log_in()]
    await client.post(f"{AUTH}/request-password-reset", json={"email": ada.email})
    await post_office()
    body = {"token": mailbox.token(), "new_password": NEW_PASSWORD}
    assert (await client.post(f"{AUTH}/reset-password", json=body)).status_code == 200
    alive = []
    for session in sessions:
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        alive.append((await client.get(ME, headers=headers)).status_code)
        alive.append((await ada.refresh(session["refresh_token"])).status_code)
    assert alive == [401] * 6
    feed = (await client.get("/internal/session-revocations", headers=gateway_headers)).json()
    assert len(feed["revocations"]) == 3


@pytest.mark.parametrize("row", ["S6-A-19-token-in-no-log"])
async def test_the_token_is_in_no_log_line_and_no_answer(link, client, capsys, caplog, row):
    answers = [await link(), await link(), await client.get(f"{AUTH}/verify-email?token={link.token}")]
    shown = "".join(capsys.readouterr()) + "".join(answer.text for answer in answers)
    warnings = "".join(record.getMessage() for record in caplog.records if record.levelname != "INFO")
    assert "verify-email" in shown, row
    assert link.token not in shown + warnings
