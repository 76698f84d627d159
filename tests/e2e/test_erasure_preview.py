"""What somebody is told before the erasure is what the erasure reports, in every service and every kind."""

from support import eventually


def told(preview: dict) -> dict[str, dict[str, int]]:
    return {
        part["service"]: {held["kind"]: held["count"] for held in part["erased"]}
        for part in preview["participants"]
    }


async def test_the_preview_says_what_the_erasure_takes(person, jpeg, stage, until_erased) -> None:
    await person.agree()
    await person.take_picture(jpeg)
    before: list[dict[str, dict[str, int]]] = []

    async def settled() -> dict[str, dict[str, int]]:
        # What events bring to the services is there a moment after they have left.
        for schema in ("identity", "consent", "storage"):
            assert await stage.count(f"SELECT count(*) FROM {schema}.outbox") == 0
        answer = await person.app.call("GET", "/users/me/erasure-preview")
        assert answer.status == 200, answer.body
        before.append(told(answer.document))
        assert before[-2:-1] == before[-1:]
        return before[-1]

    counted = await eventually(settled, seconds=20)
    assert counted["storage"].items() >= {"photos": 1, "objects": 2, "data_keys": 1}.items()
    assert counted["consent"]["consent_entries"] == 1

    status = await until_erased(person.app, await person.ask_to_be_erased())
    assert {part["service"]: part["erased"] for part in status["participants"]} == counted
