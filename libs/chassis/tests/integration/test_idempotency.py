"""A request that is repeated with the same Idempotency-Key acts once and gets the same answer."""

import asyncio
import json
from contextlib import suppress

import pytest
from fastapi import APIRouter, Response
from httpx2 import AsyncClient
from sqlalchemy import text

from chassis import idempotency
from chassis.api import create_app
from chassis.auth import AccessTokens, KeySet
from chassis.callers import CurrentPrincipal
from chassis.idempotency import Idempotency, IdempotentRoute
from chassis.idempotency_records import IdempotencyRecord, purge_idempotency_records
from chassis.ids import new_id
from chassis.problems import Problem
from support import eventually

ISSUER, AUDIENCE = "https://irisvue.example", "irisvue-api"
SECRET = "canary-of-the-answer"
KEY = {"Idempotency-Key": "canary-of-the-key"}


class Refused(Problem):
    """What a handler raises after what it wrote is complete."""

    status = 401
    slug = "refused"
    title = "No"


class Process:
    """One process of a service: an application, its database and the moments at which a test holds it up."""

    def __init__(self, database, client, an_event):
        self.database = database
        self.client = client
        self.an_event = an_event
        self.calls = 0
        self.passing = {}
        self.reached = None

    def hold(self, moment):
        """Let handlers wait at the moment until the returned event is set."""
        self.passing[moment] = asyncio.Event()
        return self.passing[moment]

    async def reach(self, moment):
        self.reached = moment
        if moment in self.passing:
            await self.passing[moment].wait()

    async def has_written(self):
        assert self.reached == "written"

    async def write(self, note="written"):
        async with self.database.unit_of_work() as uow:
            uow.publish(self.an_event())
            statement = text("INSERT INTO identity.effects VALUES (:id, :note)")
            await uow.session.execute(statement, {"id": new_id(), "note": note})

    async def post(self, path="/things", *, headers=KEY, body=None):
        return await self.client.post(path, headers=headers, json=body or {"wish": 1})


def routes_of(process):
    router = APIRouter(route_class=IdempotentRoute)

    async def make():
        process.calls += 1
        async with process.database.unit_of_work() as uow:
            await uow.session.execute(text("SELECT 1"))
        await process.reach("read")
        await process.write()
        await process.reach("written")
        return {"id": str(new_id()), "secret": SECRET}

    @router.post("/things", status_code=201)
    async def make_thing(body: dict[str, int], response: Response) -> dict[str, str]:
        response.headers["Location"] = "/things/1"
        return await make()

    @router.post("/own/{name}")
    async def make_own(name: str, caller: CurrentPrincipal) -> dict[str, str]:
        return await make()

    @router.delete("/things/{name}", status_code=204)
    async def remove(name: str) -> None:
        process.calls += 1
        await process.write()

        async def look() -> None:
            async with process.database.engine.connect() as connection:
                process.seen = await connection.scalar(text("SELECT count(*) FROM identity.effects"))

        await process.database.when_durable(look)

    @router.get("/things")
    async def show() -> dict[str, int]:
        process.calls += 1
        return {"calls": process.calls}

    return router


def failing_routes_of(process):
    router = APIRouter(route_class=IdempotentRoute)

    @router.post("/refused")
    async def write_and_refuse() -> None:
        process.calls += 1
        await process.write()
        raise Refused

    @router.post("/returned")
    async def write_and_return_a_refusal() -> Response:
        process.calls += 1
        await process.write()
        return Response(status_code=409)

    @router.post("/undone")
    async def fail_in_the_block() -> None:
        process.calls += 1
        async with process.database.unit_of_work() as uow:
            uow.publish(process.an_event())
            await uow.session.execute(text("INSERT INTO identity.effects VALUES (gen_random_uuid(), 'half')"))
            raise Refused

    @router.post("/again")
    async def write_lose_and_write() -> dict[str, str]:
        await process.write("first")
        for lost in (Refused, None):
            with suppress(Refused):
                async with process.database.unit_of_work() as uow:
                    uow.publish(process.an_event())
                    await uow.session.execute(text("INSERT INTO identity.promises VALUES (1)"))
                    if lost:
                        raise lost
        return {}

    return router


@pytest.fixture
async def start(settings, key, an_event, behind_gateway):
    """Return a function that starts a process on a database."""
    clients = []

    async def keys():
        return {"keys": [key.jwk]}

    def started(database):
        process = Process(database, None, an_event)
        app = create_app(
            settings, title="Things", routers=[routes_of(process), failing_routes_of(process)], checks={}
        )
        app.state.idempotency = process.idempotency = Idempotency(database)
        app.state.access_tokens = AccessTokens(KeySet(keys), issuer=ISSUER, audience=AUDIENCE)
        process.client = AsyncClient(base_url="http://things", **behind_gateway(app))
        clients.append(process.client)
        return process

    yield started
    for client in clients:
        await client.aclose()


@pytest.fixture
def process(start, open_database):
    return start(open_database("identity", pool_size=2))


@pytest.fixture
def effects(rows):
    """Return a check of how many effects and events there are."""

    async def assert_there_are(number):
        assert len(await rows("identity.effects")) == number
        assert len(await rows("identity.outbox")) == number

    return assert_there_are


@pytest.fixture
def bearer(key, claims):
    def of(user_id):
        return {"Authorization": f"Bearer {key.sign(key.header, claims(sub=str(user_id)))}"}

    return of


def slug(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:irisvue:problem:")


async def test_S21_fifty_at_once_act_once_and_get_equal_answers(process, effects):  # noqa: N802
    answers = await asyncio.gather(*(process.post() for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["location"] for answer in answers} == {"/things/1"}
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert process.calls == 1
    await effects(1)


async def test_S21_fifty_at_once_in_two_processes_act_once(start, open_database, effects):  # noqa: N802
    processes = [start(open_database("identity")) for _ in range(2)]
    answers = await asyncio.gather(*(processes[number % 2].post() for number in range(50)))
    assert len({answer.content for answer in answers}) == 1
    await effects(1)


@pytest.mark.parametrize(
    "changed",
    [{"json": {"wish": 2}}, {"json": {"wish": 1}, "params": {"a": "b"}}, {"content": b'{"wish":1} '}],
    ids=["S21 other body", "S21 other query", "S21 other spelling"],
)
async def test_key_of_another_request_is_refused(changed, process, effects):
    assert (await process.post()).status_code == 201
    headers = {**KEY, "Content-Type": "application/json"}
    answer = await process.client.post("/things", headers=headers, **changed)
    assert slug(answer) == (422, "idempotency-key-reused")
    await effects(1)


async def test_S21_other_people_and_other_addresses_are_strangers_to_a_key(process, bearer, effects):  # noqa: N802
    ada, ben = bearer(new_id()), bearer(new_id())
    answers = [
        await process.post(path, headers=headers | KEY)
        for path, headers in [("/own/a", ada), ("/own/a", ben), ("/own/b", ada), ("/things", {})]
    ]
    assert len({answer.json()["id"] for answer in answers}) == 4
    assert not any("idempotency-replayed" in answer.headers for answer in answers)
    await effects(4)
    again = await process.post("/own/a", headers=ada | KEY)
    assert again.content == answers[0].content
    assert again.headers["idempotency-replayed"] == "true"


async def test_S21_commit_whose_answer_is_lost_is_answered_on_the_next_try(  # noqa: N802
    start, open_database, database_proxy, effects
):
    process = start(open_database("identity", via=database_proxy))
    go_on = process.hold("written")
    first = asyncio.create_task(process.post())

    await eventually(process.has_written)
    database_proxy.cut_after(b"COMMIT")
    go_on.set()
    assert (await first).status_code == 503
    retried = await process.post()
    assert retried.status_code == 201
    assert retried.headers["idempotency-replayed"] == "true"
    assert process.calls == 1
    await effects(1)


async def test_S21_process_that_dies_between_effect_and_answer_leaves_the_retry_to_act(  # noqa: N802
    process, start, open_database, effects
):
    process.hold("written")
    dying = asyncio.create_task(process.post())

    await eventually(process.has_written)
    dying.cancel()
    await asyncio.wait([dying])
    await effects(0)
    retried = await start(open_database("identity")).post()
    assert retried.status_code == 201
    assert "idempotency-replayed" not in retried.headers
    await effects(1)


async def test_connection_lost_between_two_units_of_work_is_a_503_and_the_retry_acts(
    start, open_database, database_proxy, effects
):
    process = start(open_database("identity", via=database_proxy))
    go_on = process.hold("written")
    first = asyncio.create_task(process.post())

    await eventually(process.has_written)
    database_proxy.cut()
    go_on.set()
    assert slug(await first) == (503, "service-unavailable")
    assert (await process.post()).status_code == 201
    await effects(1)


async def test_repeat_in_another_process_gets_the_answer_that_it_waited_for(start, open_database, effects):
    first, second = (start(open_database("identity")) for _ in range(2))
    go_on = first.hold("written")
    begun = asyncio.create_task(first.post())

    async def the_second_waits():
        async with first.database.engine.connect() as connection:
            locks = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            assert await connection.scalar(locks) == 1

    await eventually(first.has_written)
    repeated = asyncio.create_task(second.post())
    await eventually(the_second_waits)
    go_on.set()
    assert (await begun).content == (await repeated).content
    assert second.calls == 0 or (await repeated).headers["idempotency-replayed"] == "true"
    await effects(1)


async def test_of_two_processes_that_both_began_only_one_acts(start, open_database, effects):
    processes = [start(open_database("identity")) for _ in range(2)]
    gates = [process.hold("read") for process in processes]
    begun = [asyncio.create_task(process.post()) for process in processes]

    async def both_have_begun():
        assert [process.calls for process in processes] == [1, 1]

    await eventually(both_have_begun)
    for gate in gates:
        gate.set()
    first, second = await asyncio.gather(*begun)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    await effects(1)


async def test_S21_key_in_use_in_another_process_is_a_409_to_come_back_from(  # noqa: N802
    start, open_database, scratch, effects
):
    await scratch.execute("ALTER ROLE chassis_app SET lock_timeout = '100ms'")
    try:
        first, second = (start(open_database("identity")) for _ in range(2))
        go_on = first.hold("written")
        begun = asyncio.create_task(first.post())

        await eventually(first.has_written)
        refused = await second.post()
        assert slug(refused) == (409, "idempotency-key-in-use")
        assert refused.headers["retry-after"] == "1"
        go_on.set()
        assert (await second.post()).content == (await begun).content
    finally:
        await scratch.execute("ALTER ROLE chassis_app SET lock_timeout = '2s'")
    await effects(1)


async def test_S21_key_in_use_in_this_process_is_a_409_to_come_back_from(  # noqa: N802
    process, monkeypatch, effects
):
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.05)
    go_on = process.hold("written")
    begun = asyncio.create_task(process.post())

    async def has_begun():
        assert process.calls == 1

    await eventually(has_begun)
    assert slug(await process.post()) == (409, "idempotency-key-in-use")
    go_on.set()
    assert (await begun).status_code == 201
    await effects(1)


async def test_who_waits_behind_many_others_gets_the_answer_that_there_is_by_then(process, monkeypatch):
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.05)
    first = await process.post()
    record = IdempotencyRecord(
        process.database, key=KEY["Idempotency-Key"], scope=("anybody", "POST", "/things")
    )
    async with process.idempotency._lock.hold(record.name):
        assert (await process.post()).content == first.content
        assert slug(await process.post(body={"wish": 2})) == (422, "idempotency-key-reused")


async def test_no_connection_is_held_until_something_is_written(process, effects):
    go_on = process.hold("read")
    waiting = [
        asyncio.create_task(process.post(headers={"Idempotency-Key": f"key-{number}"}))
        for number in range(20)
    ]

    async def all_have_read():
        assert process.calls == 20
        assert process.database.engine.pool.checkedout() == 0

    await eventually(all_have_read)
    go_on.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {201}
    await effects(20)


async def test_refusal_is_not_kept_and_what_was_complete_before_it_stays(process, rows, effects):
    for times in (1, 2):
        assert slug(await process.post("/refused")) == (401, "refused")
        await effects(times)
    assert process.calls == 2
    assert await rows("identity.idempotency_keys") == []


async def test_refusal_that_is_returned_instead_of_raised_is_not_kept_either(process, rows, effects):
    for times in (1, 2):
        assert (await process.post("/returned")).status_code == 409
        await effects(times)
    assert await rows("identity.idempotency_keys") == []


async def test_error_in_the_block_leaves_nothing_and_is_not_kept(process, rows, effects):
    for _ in range(2):
        assert slug(await process.post("/undone")) == (401, "refused")
    assert process.calls == 2
    await effects(0)
    assert await rows("identity.idempotency_keys") == []


async def test_unit_of_work_that_fails_undoes_itself_alone(process, rows):
    assert (await process.post("/again")).status_code == 200
    assert [row["note"] for row in await rows("identity.effects")] == ["first"]
    assert len(await rows("identity.promises")) == 1
    assert len(await rows("identity.outbox")) == 2


async def test_work_that_must_come_after_the_commit_does(process):
    for headers in (KEY, {}):
        process.seen = 0
        answer = await process.client.delete("/things/x", headers=headers)
        assert answer.status_code == 204
        assert process.seen == process.calls
    again = await process.client.delete("/things/x", headers=KEY)
    assert (again.status_code, again.content) == (204, b"")
    assert again.headers["idempotency-replayed"] == "true"
    assert "content-length" not in again.headers
    assert process.calls == 2


async def test_row_tells_nothing_of_who_asked_what_and_got_what(process, bearer, rows):
    ada = new_id()
    answer = await process.post("/own/a", headers=bearer(ada) | KEY)
    (row,) = await rows("identity.idempotency_keys")
    assert set(row) == {"key_hash", "sealed", "created_at"}
    told = json.dumps(row["key_hash"]).encode() + row["sealed"]
    for secret in (SECRET, KEY["Idempotency-Key"], str(ada), ada.hex, answer.json()["id"], "/own/a"):
        assert secret.encode() not in told
    assert ada.bytes not in told


async def test_row_can_not_be_found_without_the_secret_of_the_service(start, process, open_database, effects):
    await process.post()
    stranger = start(open_database("identity", tombstone_key=bytes(32)))
    assert "idempotency-replayed" not in (await stranger.post()).headers
    await effects(2)


async def test_answer_is_good_for_a_day_and_purged_after_it(process, scratch, rows, effects):
    first = await process.post()
    await scratch.execute("UPDATE identity.idempotency_keys SET created_at = now() - interval '23 hours'")
    assert await purge_idempotency_records(process.database) == 0
    assert (await process.post()).content == first.content

    await scratch.execute("UPDATE identity.idempotency_keys SET created_at = now() - interval '25 hours'")
    second = await process.post()
    assert second.content != first.content
    assert (await process.post()).content == second.content
    await effects(2)

    await scratch.execute("UPDATE identity.idempotency_keys SET created_at = now() - interval '25 hours'")
    assert await purge_idempotency_records(process.database) == 1
    assert await rows("identity.idempotency_keys") == []


@pytest.mark.parametrize(
    "keys",
    [[b""], [b"two words"], [b"x" * 256], ["schlüssel".encode()], [b"a", b"b"]],
    ids=["empty", "space", "256 characters", "not ASCII", "two keys"],
)
async def test_key_that_can_not_be_used_is_refused(keys, process, effects):
    headers = [(b"idempotency-key", value) for value in keys]
    answer = await process.client.post("/things", headers=headers, json={"wish": 1})
    assert slug(answer) == (400, "invalid-idempotency-key")
    await effects(0)


@pytest.mark.parametrize("token", [None, "Bearer x.y.z"])
async def test_caller_who_proves_nothing_gets_the_ordinary_refusal(token, process, rows):
    headers = KEY if token is None else {**KEY, "Authorization": token}
    assert slug(await process.post("/own/a", headers=headers)) == (401, "unauthorized")
    assert await rows("identity.idempotency_keys") == []


async def test_token_that_an_open_route_ignores_makes_no_other_request(process, bearer, effects):
    first = await process.post(headers=KEY | bearer(new_id()))
    assert (await process.post(headers=KEY | {"Authorization": "Bearer expired"})).content == first.content
    await effects(1)


async def test_without_a_key_and_for_reading_nothing_is_kept(process, rows, effects):
    for _ in range(2):
        assert (await process.post(headers={})).status_code == 201
    await effects(2)
    answers = [(await process.client.get("/things", headers=KEY)).json() for _ in range(2)]
    assert answers[0] != answers[1]
    assert await rows("identity.idempotency_keys") == []


async def test_input_that_is_refused_may_be_mended_under_the_same_key(process, effects):
    assert (await process.post(body={"wish": "x"})).status_code == 422
    assert (await process.post()).status_code == 201
    await effects(1)
