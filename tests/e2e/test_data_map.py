"""R30: what the platform really writes is what the data map says, and an officer is shown the same."""

import json

import data_map_page
from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from cluster.environment import DATABASE, KEYRING_DATABASE
from residue.objects import open_store
from residue.queues import open_management
from residue.redis_keys import open_redis
from support import eventually

MAP = json.loads((data_map_page.FOLDER / data_map_page.RECORD).read_text())
PLACES = [place for part in MAP["services"] for place in part["places"]]
ABOUT = About(data_class=DataClass.NOBODY, purpose=Purpose.OPERATION, retention="-")
_COLUMNS = """
    SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns
    WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_name NOT LIKE 'alembic_version%'
"""


def strangers(kind: PlaceKind, names) -> set[str]:
    """Return the names that lie in no declared place."""
    declared = [
        Place(kind=kind, name=place["name"], holds="-", on_erase="delete", about=ABOUT)
        for place in PLACES
        if place["kind"] == kind
    ]
    return {name for name in names if not any(place.covers(name) for place in declared)}


async def test_r30_every_column_of_every_schema_is_in_the_map(stage):
    written = set()
    for database in (DATABASE, KEYRING_DATABASE):
        async with stage.database(database) as connection:
            written |= {tuple(row) for row in await connection.fetch(_COLUMNS)}
    declared = {(entry["table"], entry["column"]) for part in MAP["services"] for entry in part["columns"]}
    assert written == declared


async def test_r30_what_a_person_leaves_in_the_servers_lies_in_declared_places(stage, person, jpeg):
    await person.agree()
    await person.take_picture(jpeg)
    async with open_redis(stage.values) as redis:
        keys = [key.decode() async for key in redis.scan_iter()]
        assert keys
        assert strangers(PlaceKind.REDIS, keys) == set()
        await redis.set("storage:cache:planted", "1", px=2000)
        assert strangers(PlaceKind.REDIS, [key.decode() async for key in redis.scan_iter()]) == {
            "storage:cache:planted"
        }

    async def checkpoints_too() -> list[str]:
        async with open_store(stage.values) as s3:
            found = [
                f"{bucket['Name']}/{entry['Key']}"
                for bucket in (await s3.list_buckets())["Buckets"]
                for entry in (await s3.list_objects_v2(Bucket=bucket["Name"])).get("Contents", [])
            ]
        assert {name.partition("/")[0] for name in found} >= {"irisvue-photos", "irisvue-ledger"}
        return found

    assert strangers(PlaceKind.OBJECT, await eventually(checkpoints_too)) == set()
    async with open_management(stage.values) as http, http.get("/api/queues") as answer:
        assert strangers(PlaceKind.QUEUE, [queue["name"] for queue in await answer.json()]) == set()


async def test_k20_officer_is_shown_what_the_page_says_and_the_person_is_not(officer, person):
    shown = await officer.call("GET", "/operations/data-map")
    refused = await person.app.call("GET", "/operations/data-map")
    nobody = await person.app.call("GET", "/operations/data-map", bearer="")

    assert (shown.status, refused.status, nobody.status) == (200, 403, 401)
    by_name = {part["service"]: part for part in shown.document["services"]}
    assert by_name == {part["service"]: part for part in MAP["services"]}
    assert shown.document["processing"] == MAP["processing"]
