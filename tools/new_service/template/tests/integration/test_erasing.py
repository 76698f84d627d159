from chassis.erasure import OpenErasure
from chassis.ids import new_id
from sample.main import SAMPLE
from support.erasures import work_on_erasures

ENTRIES = "/api/v1/sample/entries"


async def test_erased_person_has_no_entry_and_can_add_none(as_somebody, service) -> None:
    ada, grace = new_id(), new_id()
    for person in (ada, grace):
        async with as_somebody(person) as client:
            assert (await client.post(ENTRIES, json={"words": "Hello"})).status_code == 201
    participation, now = SAMPLE.participation(service), service.database.clock.now()
    async with service.database.unit_of_work() as uow:
        await participation.accept(uow, OpenErasure(new_id(), ada, now, now))

    assert await work_on_erasures(participation, service.database) == 1

    async with as_somebody(ada) as client:
        assert (await client.get(ENTRIES)).json() == {"entries": []}
        assert (await client.post(ENTRIES, json={"words": "Again"})).status_code == 401
    async with as_somebody(grace) as client:
        assert len((await client.get(ENTRIES)).json()["entries"]) == 1


async def test_whoever_holds_nothing_is_reported_as_such(service) -> None:
    participation, now, erasure = SAMPLE.participation(service), service.database.clock.now(), new_id()
    async with service.database.unit_of_work() as uow:
        await participation.accept(uow, OpenErasure(erasure, new_id(), now, now))
    await work_on_erasures(participation, service.database)

    tasks = service.database.tables.erasure_tasks
    async with service.database.engine.connect() as connection:
        row = (await connection.execute(tasks.select().where(tasks.c.erasure_id == erasure))).one()
    assert row.completed_at is not None
    assert row.erased == {"entries": 0}
