"""Who waits for ended sessions learns of each at once, and costs next to nothing while there are none."""

import asyncio
from uuid import UUID

import jwt
import pytest

from contracts.fields import RevocationReason
from identity.api import internal
from identity.use_cases.sessions.end_session import end_session
from identity.wiring import open_service
from support import eventually

FEED = "/internal/session-revocations"


@pytest.fixture
async def elsewhere(service, settings):
    """Return identity in another process, of whose work this one hears by NOTIFY alone."""
    listening = asyncio.create_task(service.database.notifications.listen())
    news = service.database.notifications.event("probe")
    async with open_service(settings, service.clock) as opened:

        async def heard() -> None:
            async with opened.unit_of_work() as uow:
                uow.wake("probe")
            assert news.is_set()

        await eventually(heard)
        yield opened
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_an_end_in_another_process_wakes_every_gateway_that_waits(
    client, ada, elsewhere, gateway_headers, statements, monkeypatch
):
    monkeypatch.setattr(internal, "REVOCATION_POLL_SECONDS", 60)
    session_id = jwt.decode(ada.tokens["access_token"], options={"verify_signature": False})["sid"]
    statements.clear()
    gateways = [
        asyncio.create_task(client.get(FEED, params={"wait": 20}, headers=gateway_headers)) for _ in range(2)
    ]

    async def have_asked() -> None:
        assert len(statements) == len(gateways)

    await eventually(have_asked)
    async with elsewhere.unit_of_work() as uow:
        await end_session(
            uow,
            user_id=UUID(ada.user_id),
            session_id=UUID(session_id),
            reason=RevocationReason.LOGOUT,
            rules=elsewhere.rules,
        )
    async with asyncio.timeout(5):
        pages = [(await gateway).json() for gateway in gateways]
    assert [[one["session_id"] for one in page["revocations"]] for page in pages] == [[session_id]] * 2


async def test_waiting_for_nothing_asks_twice_a_second_at_most(client, ada, gateway_headers, statements):
    statements.clear()
    answer = await client.get(FEED, params={"wait": 1.2}, headers=gateway_headers)
    assert answer.json()["revocations"] == []
    assert len(statements) <= 4
