from sqlalchemy import select

from consent.main import create_worker


async def test_the_worker_announces_that_the_service_takes_part_in_erasures(service, settings):
    worker = await create_worker(settings)
    async with worker.resources:
        await worker.announce_once()
    async with service.unit_of_work() as uow:
        types = (await uow.session.scalars(select(uow.tables.outbox.c.type))).all()
    assert types == ["consent.participant.joined.v1"]
