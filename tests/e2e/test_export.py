"""A copy of a person's data through the gateway: every service writes its section, the link works once."""

from demo.copy_of_data import Copy
from support import eventually


async def copy_of(app) -> str:
    async def ready() -> str:
        answer = await app.export_status()
        assert answer.status == 200, answer.body
        assert answer.document["status"] == "ready", answer.document["progress"]
        return answer.document["export_url"]

    return await eventually(ready, seconds=30)


async def test_copy_has_what_every_service_holds_and_is_fetched_once(person, jpeg, stage) -> None:
    await person.agree()
    await person.take_picture(jpeg)
    asked = await person.app.ask_for_export()
    assert asked.status == 202
    url = await copy_of(person.app)
    fetched = await person.app.follow("GET", url)

    assert (fetched.status, fetched.headers["Content-Type"]) == (200, "application/zip")
    copy = Copy.read(fetched.body)
    assert copy.is_whole()
    assert len(copy.records("identity")["accounts"]) == 1
    assert len(copy.records("identity")["sessions"]) >= 1
    assert [it["receipt"].count(".") for it in copy.records("consent")["consent_entries"]] == [2]
    (photo,) = copy.records("storage")["objects"]
    assert photo["file"] in copy.names
    assert (await person.app.follow("GET", url)).status == 410


async def test_link_to_a_copy_dies_with_the_session_and_with_the_account(person, stage, until_erased) -> None:
    await person.app.ask_for_export()
    url = await copy_of(person.app)
    receipt = await person.ask_to_be_erased()
    assert (await person.app.follow("GET", url)).status == 410
    assert (await person.app.ask_for_export()).status == 401
    await until_erased(person.app, receipt)
    assert await stage.count("SELECT count(*) FROM storage.exports WHERE ended_at IS NULL") == 0
