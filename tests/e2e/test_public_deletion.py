"""Somebody without the app deletes the account on a page of ours, in a real browser and without scripts."""

import re

from support import eventually
from support.browser import browser

PAGE = "/auth/request-deletion"


async def link_to(mailbox, address: str) -> str:
    mail = await mailbox.next_to(address, "Delete your account?", seconds=30)
    text = mail.get_body(("plain",)).get_content()
    return re.search(r"https?://\S+/confirm-deletion#token=\S+", text).group()


async def test_a_form_a_mail_and_a_button_erase_the_account(person, new_app, mailbox, until_erased) -> None:
    stranger = new_app()
    page = await stranger.call("GET", PAGE)
    assert (page.status, b'<form method="post">' in page.body) == (200, True)
    known = await stranger.call("POST", PAGE, data={"email": person.email})
    unknown = await stranger.call("POST", PAGE, data={"email": f"not-{person.email}"})
    assert (known.status, known.body) == (unknown.status, unknown.body) == (200, known.body)

    link = await link_to(mailbox, person.email)
    opened = await stranger.follow("GET", link.partition("#")[0])
    assert (opened.status, (await person.app.me()).status) == (200, 200)

    token = link.partition("#token=")[2]
    done = await stranger.call("POST", "/auth/confirm-deletion", data={"token": token})
    assert done.status == 200
    found = re.search(rb"/privacy/erasures/([0-9a-f-]{36})\?token=([\w-]+)", done.body)
    receipt = dict(
        zip(("erasure_id", "status_token"), (part.decode() for part in found.groups()), strict=True)
    )

    async def signed_out() -> None:
        assert (await person.app.me()).status == 401

    await eventually(signed_out, seconds=5)
    status = await until_erased(stranger, receipt)
    assert status["status"] == "completed"
    again = await stranger.call("POST", "/auth/confirm-deletion", data={"token": token})
    assert (again.status, again.headers["Content-Type"]) == (401, "text/html; charset=utf-8")


async def test_the_link_opened_in_a_browser_needs_nothing_but_a_click(person, new_app, mailbox) -> None:
    await new_app().call("POST", PAGE, data={"email": person.email})
    link = await link_to(mailbox, person.email)
    async with browser() as window:
        await window.open(link)
        asked_for_code = await window.run("return document.querySelector('#code').checkVisibility()")
        await window.run("document.querySelector('button').click()")

        async def said() -> None:
            assert await window.run("return document.title") == "Your account is closed"

        await eventually(said, seconds=10)
        complaints = await window.complaints()
    assert (asked_for_code, complaints) == (False, [])
    assert (await person.app.login(person.email, person.password)).status == 401
