"""People with many photos: what a withdrawal and an erasure cost, and what is left of them in the outbox."""

from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import event, func, insert, select

from chassis.ids import new_id
from contracts.identity import UserDeleted
from storage.models import Destruction, Photo
from support.erasures import work_on_erasures

MANY = 1000
MOST_STATEMENTS = 15


@pytest.fixture
async def many_photos(ada, service, clock, consent):
    """Give somebody photos whose bytes nobody looks at."""
    now, epoch = clock.now(), consent._answers[str(ada.id)]["epoch"]
    rows = [
        {
            "id": (photo_id := new_id()),
            "user_id": ada.id,
            "s3_key": f"{service.vault.folder_of_photo(ada.id, photo_id)}1/original",
            "declared_type": "image/jpeg",
            "consent_id": new_id(),
            "consent_epoch": epoch,
            "upload_token_hash": "0" * 64,
            "upload_expires_at": now,
            "received_at": now,
            "received_bytes": 1,
            "content_type": "image/jpeg",
            "width": 1,
            "height": 1,
            "sealed_version": 1,
            "confirmed_at": now,
            "created_at": now,
            "updated_at": now,
        }
        for _ in range(MANY)
    ]
    async with service.unit_of_work() as uow:
        await uow.session.execute(insert(Photo), rows)
    return [row["id"] for row in rows]


@contextmanager
def statements_of(service):
    """Collect what is sent to storage's database."""
    sent = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        sent.append(statement)

    engine = service.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_withdrawal_of_a_thousand_photos_is_a_few_statements(
    ada, consent, service, deliver, many_photos
) -> None:
    with statements_of(service) as sent:
        await deliver(consent.withdraw(ada.id))
    async with service.unit_of_work() as uow:
        ordered = set(await uow.session.scalars(select(Destruction.photo_id)))
        left = await uow.session.scalar(select(func.count()).select_from(Photo))
    assert (ordered, left) == (set(many_photos), 0)
    assert len(sent) <= MOST_STATEMENTS


async def test_an_erasure_of_many_photos_leaves_nothing_in_the_outbox_that_names_the_person(
    ada, clock, service, pictures, participation, deliver, announced
) -> None:
    for _ in range(25):
        await ada.upload(pictures.plain_jpeg())
    async with service.unit_of_work() as uow:
        await uow.session.execute(uow.tables.outbox.delete())
    now = clock.now()
    await deliver(
        UserDeleted(user_id=ada.id, erasure_id=uuid4(), requested_at=now, deadline=now + timedelta(days=30))
    )
    await work_on_erasures(participation, service.database)
    (report,) = await announced()
    assert (report["type"], report["erased"]["photos"]) == ("storage.erasure.reported.v1", 25)
    async with service.unit_of_work() as uow:
        outbox = uow.tables.outbox
        rows = (await uow.session.execute(select(outbox))).all()
    assert not [row for row in rows if str(ada.id) in str(row) or ada.id.hex in str(row)]
