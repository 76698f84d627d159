"""Parts of the platform fail while people use it: nothing is lost, done twice or claimed too early."""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import aiohttp

from cluster.environment import ADMIN, KEYRING_DATABASE, VHOST
from contracts.topology import EXCHANGE
from support import eventually
from support.erasure_faults import OPEN_ERASURES, all_completed, ids_of

REGISTERED, DELETED = "identity.user.registered.v1", "identity.user.deleted.v1"
COMPLETED = "identity.erasure.completed.v1"
PEOPLE, LEAVING = 200, 50
BROKER_SECONDS = 180


class Witness:
    """A queue of the operator's that hears everything; reading empties it."""

    name = "witness"

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def open(self) -> None:
        await self._call(
            "PUT", f"queues/{VHOST}/{self.name}", durable=True, arguments={"x-queue-type": "quorum"}
        )
        await self._call("POST", f"bindings/{VHOST}/e/{EXCHANGE}/q/{self.name}", routing_key="#")

    async def close(self) -> None:
        await self._call("DELETE", f"queues/{VHOST}/{self.name}")

    async def heard(self) -> list[dict]:
        """Return the envelopes that have arrived since the last look."""
        messages = await self._call(
            "POST",
            f"queues/{VHOST}/{self.name}/get",
            count=10_000,
            ackmode="ack_requeue_false",
            encoding="base64",
        )
        return [json.loads(base64.b64decode(message["payload"])) for message in messages]

    async def _call(self, method: str, path: str, **body: object) -> list[dict]:
        url = f"{self._url}/api/{path}"
        async with self._http.request(method, url, json=body or None, raise_for_status=True) as answer:
            return await answer.json(content_type=None) if method == "POST" and path.endswith("get") else []


@asynccontextmanager
async def witness_of(stage) -> AsyncIterator[Witness]:
    headers = {"Authorization": aiohttp.encode_basic_auth(ADMIN, stage.values["RABBITMQ_ADMIN_PASSWORD"])}
    async with aiohttp.ClientSession(headers=headers) as http:
        witness = Witness(http, f"http://127.0.0.1:{stage.values['RABBITMQ_MANAGEMENT_PORT']}")
        await witness.open()
        try:
            yield witness
        finally:
            await witness.close()


async def nothing_waits(stage) -> None:
    """Assert that every outbox is empty and that no message was parked."""
    for schema in ("identity", "consent", "storage"):
        assert await stage.count(f"SELECT count(*) FROM {schema}.outbox") == 0
        assert await stage.count(f"SELECT count(*) FROM {schema}.dead_letters") == 0


async def test_everything_is_delivered_once_when_the_broker_returns(
    stage, new_account, new_person, many
) -> None:
    keys = "SELECT count(*) FROM keyring.keys"
    opened = "SELECT count(*) FROM storage.inbox WHERE consumer = 'storage.open-keys'"
    keys_before = await stage.count(keys, database=KEYRING_DATABASE)
    opened_before = await stage.count(opened)
    async with witness_of(stage) as witness:
        with stage.without("rabbitmq"):
            staying = await many(lambda _: new_account(), range(PEOPLE - LEAVING - 1))
            agreeing = await new_person()
            assert (await agreeing.app.withdraw(await agreeing.agree())).status == 200
            leaving = await many(lambda _: new_person(), range(LEAVING))
            receipts = await many(lambda person: person.ask_to_be_erased(), leaving)
            assert await stage.count(OPEN_ERASURES, ids_of(receipts)) == LEAVING
        await all_completed(stage, receipts, seconds=BROKER_SECONDS)

        async def settled() -> None:
            assert await stage.count(opened) == opened_before + PEOPLE
            assert await stage.count(keys, database=KEYRING_DATABASE) == keys_before + PEOPLE - LEAVING
            await nothing_waits(stage)

        await eventually(settled, seconds=BROKER_SECONDS)
        heard = await witness.heard()

    about = defaultdict(set)
    for event in heard:
        about[event["type"]].add(
            (event["id"], event["data"].get("user_id") or event["data"].get("erasure_id"))
        )
    assert Counter(who for _, who in about[REGISTERED]) == Counter(
        person.id for person in [*staying, agreeing, *leaving]
    )
    # Whoever is silent for a minute is asked again, with another event.
    assert {who for _, who in about[DELETED]} == {person.id for person in leaving}
    assert Counter(who for _, who in about[COMPLETED]) == Counter(
        receipt["erasure_id"] for receipt in receipts
    )
    await stage.cluster.until_ready()


async def test_people_come_in_and_ended_sessions_stay_out_while_the_broker_is_away(stage, new_person) -> None:
    with stage.without("rabbitmq"):
        app = (await new_person()).app
        health = await app.call("GET", "/health/dependencies")
        assert (health.status, health.document["broker"]) == (200, "failing")
        assert (await app.me()).status == 200
        assert (await app.photos()).status == 200
        first = app.refresh_token
        for _ in range(2):
            assert (await app.refresh()).status == 200
        # Identity ends the session of a copied token; nothing in what the gateway passes on says so.
        assert (await app.refresh(first)).status == 401

        async def refused() -> None:
            assert (await app.photos()).status == 401

        await eventually(refused, seconds=1)
    await stage.cluster.until_ready()


async def test_erasure_waits_for_the_store_and_is_not_claimed_before(
    stage, person, jpeg, until_erased
) -> None:
    await person.agree()
    await person.take_picture(jpeg)
    attempts = "SELECT coalesce(max(attempts), 0) FROM storage.erasure_tasks WHERE erasure_id = $1"
    with stage.without("s3"):
        receipt = await person.ask_to_be_erased()
        refused = await person.app.call("GET", "/health/storage")

        async def tried_in_vain() -> None:
            assert await stage.count(attempts, UUID(receipt["erasure_id"])) >= 2

        await eventually(tried_in_vain, seconds=60)
        waiting = (await person.app.erasure(receipt["erasure_id"], receipt["status_token"])).document

    assert (refused.status, refused.problem) == (503, "not-healthy")
    assert (waiting["status"], waiting["completed_at"]) == ("in_progress", None)
    # The journal is in the store as well, and nobody reports what a backup could bring back unnoticed.
    assert {part["status"] for part in waiting["participants"]} == {"waiting"}
    done = await until_erased(person.app, receipt, seconds=90)
    assert {part["service"]: part["erased"].get("objects") for part in done["participants"]}["storage"] == 2
    await stage.cluster.until_ready()
