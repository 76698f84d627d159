"""What a phone does all day asks the database no more often than it must: each path has a budget."""

from uuid import UUID

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from chassis.erasure import OpenErasure
from chassis.holdings import Holdings
from contracts.participation import ErasureReported
from identity.holdings import HOLDINGS
from identity.main import IDENTITY
from identity.use_cases.erasure.collect_report import collect_report
from identity.wiring import open_service
from support.gateway import through_gateway

# Round trips: to read takes one; to write three, which are begin, one statement, and commit. Whether somebody
# is signed in, and which password is theirs, is read apart.
BUDGETS = {
    "register": 3,
    "log in": 4,
    "show me": 1,
    "refresh": 4,
    "call after a refresh": 2,
    "log out": 4,
    "delete the account": 4,
    "collect a report": 3,
    "accept an erasure": 3,
    "erase a person": 12,
}


class Paths:
    """What is done by people and services, each with the requests that it takes."""

    def __init__(self, client, person, service) -> None:
        self.client, self.person, self.service = client, person, service
        self.erasure_id: UUID | None = None

    async def show_me(self) -> None:
        assert (await self.client.get("/api/v1/users/me", headers=self.person.bearer)).status_code == 200

    async def register(self) -> None:
        await self.person.register()

    async def log_in(self) -> None:
        await self.person.log_in()

    async def refresh(self) -> None:
        answer = await self.person.refresh(self.person.tokens["refresh_token"])
        self.person.tokens = answer.json()

    async def call_after_a_refresh(self) -> None:
        # The first use of the new access token is noted.
        await self.show_me()

    async def log_out(self) -> None:
        answer = await self.client.post("/api/v1/auth/logout", headers=self.person.bearer)
        assert answer.status_code == 200

    async def delete_the_account(self) -> None:
        answer = await self.client.request(
            "DELETE", "/api/v1/users/me", json={"confirm": True}, headers=self.person.bearer
        )
        self.erasure_id = UUID(answer.json()["erasure_id"])

    async def collect_a_report(self) -> None:
        assert self.erasure_id is not None
        now = self.service.clock.now()
        report = ErasureReported.by("storage").of(self.erasure_id, completed_at=now, erased={})
        async with self.service.unit_of_work() as uow:
            await collect_report(uow, report, certificates=self.service.certificates)

    async def accept_an_erasure(self) -> None:
        assert self.erasure_id is not None
        now = self.service.clock.now()
        async with self.service.unit_of_work() as uow:
            opened = OpenErasure(self.erasure_id, UUID(self.person.user_id), now, now)
            await IDENTITY.participation(self.service).accept(uow, opened)

    async def hand_over_what_waits(self) -> None:
        """Do what mails and relay do: the erasure waits for the last mail, and for the broker."""
        async with self.service.unit_of_work() as uow:
            for table in ("mails", "outbox"):
                await uow.session.execute(text(f"DELETE FROM identity.{table}"))

    async def erase_a_person(self) -> None:
        assert await IDENTITY.participation(self.service).work_once() == 1


@pytest.fixture
async def counted(service, settings, clock, platform, round_trips):
    """Return identity, opened where what it says to the database is counted."""
    way = SecretStr(round_trips.way(settings.database_url.get_secret_value()))
    async with open_service(settings.model_copy(update={"database_url": way}), clock) as opened:
        app = IDENTITY.create_api(settings)
        IDENTITY.install(app, opened)
        hooks = through_gateway(platform.gateway_proof("identity"))
        async with AsyncClient(
            transport=ASGITransport(app), base_url="http://identity", event_hooks=hooks
        ) as client:
            yield opened, client


async def test_every_path_keeps_its_budget(counted, ada, round_trips):
    service, client = counted
    over = []
    # The first time also prepares the statements of a connection.
    for number in range(2):
        paths = Paths(client, type(ada)(client, f"person{number}@example.org"), service)
        for path, budget in BUDGETS.items():
            if path == "delete the account":
                await paths.log_in()
            if path == "erase a person":
                await paths.hand_over_what_waits()
            with round_trips.within(1000) as taken:
                await getattr(paths, path.replace(" ", "_"))()
            if number and len(taken) > budget:
                over.append("\n  ".join([f"{path}: {len(taken)} instead of {budget}", *taken]))
    assert not over, "\n".join(over)


async def test_the_first_use_of_a_generation_is_noted_once(client, ada, statements):
    async def asked(what) -> int:
        statements.clear()
        await what
        return len(statements)

    async def me() -> None:
        assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200

    assert await asked(me()) == 1
    ada.tokens = (await ada.refresh(ada.tokens["refresh_token"])).json()
    assert await asked(me()) == 2
    assert await asked(me()) == 1


async def test_everything_that_is_held_is_counted_in_one_round_trip(counted, ada, round_trips):
    service, _ = counted
    holdings = Holdings(service, HOLDINGS)
    for budget in (100, 1):
        # The first time prepares the statement.
        with round_trips.within(budget):
            held = (await holdings.count([UUID(ada.user_id)]))[UUID(ada.user_id)]
        assert (held["accounts"], held["sessions"]) == (1, 1)
