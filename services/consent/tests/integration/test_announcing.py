from sqlalchemy import select

from consent.main import CONSENT


async def test_the_worker_announces_that_the_service_takes_part_in_erasures(service):
    await CONSENT.create_worker(service).announce_once()
    async with service.unit_of_work() as uow:
        types = (await uow.session.scalars(select(uow.tables.outbox.c.type))).all()
    assert types == ["consent.participant.joined.v1"]
