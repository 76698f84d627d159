from chassis.ids import new_id

ENTRIES = "/api/v1/sample/entries"


async def test_entry_is_kept_and_shown_to_its_author_alone(as_somebody) -> None:
    ada, grace = new_id(), new_id()
    async with as_somebody(ada) as client:
        kept = await client.post(ENTRIES, json={"words": "The left eye is greener."})
        shown = (await client.get(ENTRIES)).json()
    async with as_somebody(grace) as client:
        others = (await client.get(ENTRIES)).json()

    assert kept.status_code == 201
    assert shown == {"entries": [kept.json()]}
    assert others == {"entries": []}


async def test_entry_sent_twice_with_one_key_is_kept_once(as_somebody) -> None:
    async with as_somebody(new_id()) as client:
        once = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9325"}
        sent = [await client.post(ENTRIES, json={"words": "Hello"}, headers=once) for _ in range(2)]
        shown = (await client.get(ENTRIES)).json()["entries"]

    assert [answer.json() for answer in sent] == shown * 2


async def test_empty_entry_is_refused(as_somebody) -> None:
    async with as_somebody(new_id()) as client:
        answer = await client.post(ENTRIES, json={"words": ""})
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
