"""R29: after a restore identity erases whom its journal knows, and asks everybody else to."""

from uuid import UUID

import pytest

from chassis.ids import new_id
from contracts.envelope import parse
from contracts.identity import UserDeleted
from identity.main import IDENTITY


@pytest.fixture
async def admin(platform):
    connection = await platform.connect_as_admin()
    yield connection
    await connection.close()


async def test_r29_erasure_that_the_rows_forgot_begins_again_everywhere(service, ada, client, admin) -> None:
    await ada.log_in()
    user_id, erasure_id = UUID(ada.user_id), new_id()
    async with service.unit_of_work() as uow:
        # As absorbed from the journal: the account is open, and its tombstone is there.
        await uow.add_tombstone(user_id, erasure_id=erasure_id)
    [(_, sweep)] = IDENTITY.journaled(service)
    await sweep()

    assert await admin.fetchval("SELECT count(*) FROM identity.users") == 0
    assert await admin.fetchval("SELECT count(*) FROM identity.sessions") == 0
    bodies = await admin.fetch("SELECT body FROM identity.outbox WHERE type = $1", UserDeleted.type)
    [told] = [parse(row["body"], UserDeleted).data for row in bodies]
    assert (told.user_id, told.erasure_id) == (user_id, erasure_id)
    waiting = await admin.fetch("SELECT service FROM identity.erasure_participants ORDER BY service")
    assert [row["service"] for row in waiting] == ["consent", "identity", "storage"]
    again = await client.post(
        "/api/v1/auth/login/json", json={"email": ada.email, "password": "correct horse battery staple"}
    )
    assert again.status_code == 401
    await sweep()
    assert await admin.fetchval("SELECT count(*) FROM identity.erasures") == 1
