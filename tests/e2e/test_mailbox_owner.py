"""Somebody signs up with an address that is not theirs; whoever has the mailbox sees nothing of them."""

import json
import mailbox
import re
import urllib.request
from datetime import UTC, datetime
from urllib.parse import quote

from support import eventually

LEFT = (
    "SELECT count(*) FROM identity.users WHERE id = $1",
    "SELECT count(*) FROM storage.photos WHERE user_id = $1",
    "SELECT count(*) FROM identity.erasures WHERE user_id = $1",
)
NEW_PASSWORD = "an entirely different phrase"


def texts_to(stage, address: str) -> list[str]:
    """Return the texts of the mails that an address got, in any order."""
    if stage.cluster.mode == "native":
        folder = mailbox.Maildir(stage.cluster.layout.var / "mail" / "Maildir", create=False)
        mails = [mail for mail in folder if mail["To"] == address]
        return [mail.get_payload()[0].get_payload(decode=True).decode() for mail in mails]
    api = f"http://127.0.0.1:{stage.values['MAIL_UI_PORT']}/api/v1"
    with urllib.request.urlopen(f"{api}/search?query={quote(f'to:{address}')}") as answer:
        found = json.load(answer)["messages"]
    texts = []
    for one in found:
        with urllib.request.urlopen(f"{api}/message/{one['ID']}") as answer:
            texts.append(json.load(answer)["Text"])
    return texts


async def token_to(stage, address: str, page: str) -> str:
    """Wait for the mail whose link opens `page`; return the link's token."""

    async def arrived() -> str:
        found = [re.search(rf"/{page}#token=(\S+)", text) for text in texts_to(stage, address)]
        tokens = [match[1] for match in found if match]
        assert len(tokens) == 1
        return tokens[0]

    return await eventually(arrived, seconds=30)


async def test_owner_of_a_mistyped_address_sees_no_picture_and_no_consent(
    stage, new_app, person, small_jpeg
) -> None:
    await person.agree()
    photo = await person.take_picture(small_jpeg)

    owner, began = new_app(), datetime.now(UTC)
    asked = await owner.call("POST", "/auth/request-password-reset", json={"email": person.email})
    token = await token_to(stage, person.email, "reset-password")
    reset = await owner.call(
        "POST", "/auth/reset-password", json={"token": token, "new_password": NEW_PASSWORD}
    )
    login = await owner.login(person.email, NEW_PASSWORD)
    assert (asked.status, reset.status, login.status) == (200, 200, 200)

    me = (await owner.me()).document
    assert (me["email"], me["is_verified"], me["id"] != person.id) == (person.email, True, True)
    assert (await owner.photos()).document["total"] == 0
    assert (await owner.consents()).document["consents"] == []
    assert (await owner.photo(photo["id"])).status == 404
    assert (await person.app.me()).status == 401

    async def erased_everywhere() -> None:
        assert await stage.count("SELECT count(*) FROM identity.erasures WHERE completed_at > $1", began) >= 1
        left = [await stage.count(query, person.id) for query in LEFT]
        assert left == [0, 0, 0]

    await eventually(erased_everywhere, seconds=60)
    assert (await owner.follow("GET", photo["original_url"])).status == 410


async def test_who_did_not_sign_up_has_the_account_erased(stage, new_app, person) -> None:
    await person.agree()
    token = await token_to(stage, person.email, "verify-email")
    declined = await new_app().call("POST", "/auth/decline-address", json={"token": token})
    assert declined.status == 200, declined.body

    async def signed_out() -> None:
        assert (await person.app.consents()).status == 401

    await eventually(signed_out, seconds=5)
    again = await new_app().register(person.email, NEW_PASSWORD)
    assert again.status == 201
