from sqlalchemy import select

from storage.main import STORAGE


async def test_the_worker_announces_that_the_service_takes_part_in_erasures(service):
    await STORAGE.create_worker(service).announce_once()
    async with service.unit_of_work() as uow:
        types = (await uow.session.scalars(select(uow.tables.outbox.c.type))).all()
    assert types == ["storage.participant.joined.v1"]
