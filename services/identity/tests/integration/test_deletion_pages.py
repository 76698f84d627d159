"""A deletion without the app: a page, a mail, a button; nobody learns who has an account."""

import asyncio
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from sqlalchemy import select

from identity.models import Erasure

REQUEST, CONFIRM = "/api/v1/auth/request-deletion", "/api/v1/auth/confirm-deletion"


async def asked(client, email):
    return await client.post(REQUEST, data={"email": email})


@pytest.fixture
async def token(client, ada, mailbox, post_office):
    """Return the token of the mail that Ada asked for on the page."""
    assert (await asked(client, "ADA@example.org")).status_code == 200
    await post_office()
    message = mailbox.messages[-1]
    assert (message["To"], message["Subject"]) == (ada.email, "Delete your account?")
    assert mailbox.link().partition("#")[0].endswith(CONFIRM)
    return mailbox.token()


@pytest.fixture
def erasures(service):
    """Return a function that counts the erasures."""

    async def count():
        async with service.database.read_only() as session:
            return len((await session.scalars(select(Erasure.id))).all())

    return count


class _Fields(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.forms, self.inputs, self.labels, self.main = [], {}, set(), False
        self.language = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        said = dict(attributes)
        if tag == "html":
            self.language = said.get("lang")
        self.main |= tag == "main"
        if tag == "form":
            self.forms.append(said)
        if tag == "input":
            self.inputs[said["name"]] = said
        if tag == "label":
            self.labels.add(said["for"])


@pytest.mark.parametrize(("path", "field"), [(REQUEST, "email"), (CONFIRM, "token")])
async def test_a_page_is_a_labelled_form_that_needs_no_script(client, path, field):
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = _Fields(answer.text)
    assert (page.language, page.main) == ("en", True)
    assert page.forms == [{"method": "post"}]
    assert page.inputs[field]["id"] in page.labels
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("row", ["S-03-asked-without-a-login-and-confirmed-by-mail"])
async def test_the_button_erases_through_the_ordinary_path(client, ada, token, events, post_office, row):
    answer = await client.post(CONFIRM, data={"token": token})
    assert answer.status_code == 200
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 401
    assert {"identity.user.deleted.v1", "identity.session.revoked.v1"} <= set(await events())
    assert (await post_office())[-1] == "Your account is being deleted"

    link = re.search(r'href="([^"]+/api/v1/privacy/erasures/[^"]+)"', answer.text).group(1)
    status = await client.get(link[link.index("/api/") :])
    assert (status.status_code, status.json()["status"]) == (200, "in_progress")


async def test_opening_the_link_erases_nothing(client, ada, token, erasures):
    for method in ("GET", "HEAD"):
        await client.request(method, CONFIRM, params={"token": token})
    assert await erasures() == 0
    assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200


async def test_the_button_acts_once_even_when_it_is_pressed_twenty_times(client, token, erasures):
    answers = await asyncio.gather(*(client.post(CONFIRM, data={"token": token}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
    assert await erasures() == 1


async def test_a_link_that_is_too_old_or_made_up_is_answered_with_a_page(client, token, clock, erasures):
    clock.advance(timedelta(hours=24, seconds=1))
    for spoiled in (token, "made-up"):
        answer = await client.post(CONFIRM, data={"token": spoiled})
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("text/html")
        assert "request-deletion" in answer.text
    assert await erasures() == 0


async def test_a_link_for_one_thing_is_no_link_for_another(client, ada, mailbox, post_office, token):
    await client.post("/api/v1/auth/request-password-reset", json={"email": ada.email})
    await post_office()
    assert (await client.post(CONFIRM, data={"token": mailbox.token()})).status_code == 401
    crossed = await client.post("/api/v1/auth/verify-email", json={"token": token})
    assert crossed.status_code == 401


async def test_a_new_password_makes_the_link_useless(client, ada, mailbox, post_office, token):
    # Who has taken over the mailbox for an hour may have asked for it.
    await client.post("/api/v1/auth/request-password-reset", json={"email": ada.email})
    await post_office()
    body = {"token": mailbox.token(), "new_password": "an entirely different phrase"}
    assert (await client.post("/api/v1/auth/reset-password", json=body)).status_code == 200
    assert (await client.post(CONFIRM, data={"token": token})).status_code == 401


async def test_an_unknown_address_is_answered_the_same_and_nobody_gets_a_mail(client, ada, post_office):
    sent = len(await post_office())
    known, unknown = await asked(client, ada.email), await asked(client, "nobody@example.org")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert {k: v for k, v in known.headers.items() if k != "x-request-id"} == {
        k: v for k, v in unknown.headers.items() if k != "x-request-id"
    }
    assert len(await post_office()) == sent + 1


async def test_a_mailbox_gets_three_such_mails_an_hour_and_no_answer_tells(client, ada, post_office):
    sent = len(await post_office())
    answers = [await asked(client, ada.email) for _ in range(5)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert len(await post_office()) == sent + 3
