"""K35: every entry becomes a leaf, once and in one order, under a checkpoint that anybody can check."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from sigstore._internal import merkle as sigstore
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from consent.main import CONSENT
from consent.repositories.transparency_log import LEAF_COLUMNS, TransparencyLog, leaf_of_entry
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.leaves import Source
from consent.transparency.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from consent.transparency.note import Note, verify_any
from consent.use_cases import seal_log as sealing
from consent.use_cases.anchor_digest import anchor_digest
from consent.use_cases.prove_inclusion import prove_consistency, prove_inclusion
from consent.use_cases.seal_log import seal_log

LEDGER = "/api/v1/privacy/ledger"


@pytest.fixture
def seal(service):
    """Bring what waits into the log: `await seal()` returns how many leaves that were."""

    async def run() -> int:
        return await seal_log(service.database, keys=service.log_keys, clock=service.clock)

    return run


async def leaves(admin) -> list[bytes]:
    return [
        row[0] for row in await admin.fetch("SELECT leaf_hash FROM consent.log_leaves ORDER BY leaf_index")
    ]


async def positions(admin) -> list[int]:
    return [row[0] for row in await admin.fetch("SELECT position FROM consent.entries ORDER BY position")]


async def test_k35_grants_and_withdrawals_become_leaves_under_a_signed_checkpoint(
    person, service, seal, admin
) -> None:
    anna = person()
    consent = (await anna.agree()).json()
    await anna.withdraw(consent["id"])

    assert await seal() == 2
    assert await seal() == 0
    rows = await admin.fetch("SELECT * FROM consent.entries ORDER BY position")
    expected = [leaf_hash(leaf_of_entry(row)) for row in rows]
    assert await leaves(admin) == expected
    async with service.unit_of_work() as uow:
        newest = await TransparencyLog(uow.session).latest()
    note = Note.parse(newest.note)
    assert verify_any(note, service.log_keys.verifiers)
    assert Checkpoint.parse(note.text) == Checkpoint(service.log_keys.origin, 2, root_of(expected))


async def test_k35_leaf_holds_all_that_names_nobody_and_nothing_else(person, admin) -> None:
    anna = person()
    await anna.agree(country_code="DE", metadata={"app": "canary"})
    row = await admin.fetchrow("SELECT * FROM consent.entries")

    leaf = json.loads(leaf_of_entry(row))
    personal = {
        "user_id",
        "consent_id",
        "metadata",
        "country",
        "region",
        "residence",
        "ip_address",
        "salt",
        "position",
    }
    assert set(leaf) == {
        "leaf",
        *(name for name in dict(row) if name not in personal and row[name] is not None),
    }
    assert leaf["commitment"] == row["commitment"]
    assert leaf["occurred_at"] == row["occurred_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert "canary" not in leaf_of_entry(row).decode()
    assert str(anna.id) not in leaf_of_entry(row).decode()


def test_k35_column_that_came_later_is_left_out_where_it_is_empty() -> None:
    first = {
        *("kind", "consent_type", "jurisdiction", "jurisdictions", "consent_text_version", "text_digest"),
        *("locale", "ruleset_version", "ruleset_digest", "epoch", "occurred_at", "commitment"),
    }
    assert {column.name for column in LEAF_COLUMNS if not column.nullable} == first, (
        "a column of entries that is not personal has to be nullable: older leaves were made without it"
    )


async def test_k35_withdrawal_of_someone_erased_is_sealed_after_the_erasure(
    person, service, seal, admin, open_erasure
) -> None:
    anna = person()
    consent = (await anna.agree()).json()
    await seal()
    await anna.withdraw(consent["id"])
    await open_erasure(anna.id)
    await CONSENT.participation(service).work_once()

    assert await admin.fetchval("SELECT count(*) FROM consent.entries WHERE user_id IS NULL") == 2
    assert await seal() == 1
    rows = await admin.fetch("SELECT * FROM consent.entries ORDER BY position")
    assert await leaves(admin) == [leaf_hash(leaf_of_entry(row)) for row in rows]


async def test_k35_checkpoint_is_announced_once_per_sealing(person, service, seal) -> None:
    for _ in range(3):
        await person().agree()
    await seal()
    await seal()

    async with service.unit_of_work() as uow:
        outbox = uow.tables.outbox
        query = select(outbox.c.body).where(outbox.c.type == "consent.checkpoint.sealed.v1")
        events = [json.loads(body) for body in await uow.session.scalars(query)]
        newest = await TransparencyLog(uow.session).latest()
    assert [event["data"]["tree_size"] for event in events] == [3]
    assert events[0]["data"]["root"] == newest.root.hex()
    assert events[0]["data"]["signature"] in newest.note


async def test_k35_sealers_side_by_side_seal_everything_once(
    person, service, seal, admin, monkeypatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 3)

    async def agree_and_seal() -> None:
        await person().agree()
        await seal()

    await asyncio.gather(*(agree_and_seal() for _ in range(20)))
    await seal()

    sealed = await admin.fetch("SELECT leaf_index, position FROM consent.log_leaves ORDER BY leaf_index")
    assert [row["leaf_index"] for row in sealed] == list(range(20))
    assert sorted(row["position"] for row in sealed) == await positions(admin)
    assert not await admin.fetchval("SELECT count(*) FROM consent.log_queue")
    tree = await leaves(admin)
    for row in await admin.fetch("SELECT tree_size, root_hash FROM consent.log_checkpoints"):
        assert row["root_hash"] == root_of(tree[: row["tree_size"]])


async def test_k35_entry_that_commits_late_is_sealed_though_later_ones_were(
    person, service, seal, admin
) -> None:
    await person().agree()
    held = await admin.fetchval("SELECT nextval('consent.entries_position_seq')")
    await person().agree()
    assert await seal() == 2
    await admin.execute(
        "INSERT INTO consent.entries OVERRIDING SYSTEM VALUE SELECT (e).* FROM (SELECT jsonb_populate_record("
        "NULL::consent.entries, to_jsonb(e) || jsonb_build_object('position', $1::bigint, 'user_id',"
        " gen_random_uuid(), 'consent_id', gen_random_uuid())) AS e FROM consent.entries AS e LIMIT 1) AS x",
        held,
    )

    assert await seal() == 1
    last = await admin.fetchrow("SELECT * FROM consent.log_leaves ORDER BY leaf_index DESC LIMIT 1")
    assert (last["leaf_index"], last["position"]) == (2, held)


async def test_k35_crash_before_the_commit_leaves_nothing_half_done(
    person, service, seal, admin, monkeypatch
) -> None:
    for _ in range(3):
        await person().agree()

    async def dies(*_) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patch:
        patch.setattr(TransparencyLog, "add_checkpoint", dies)
        with pytest.raises(RuntimeError):
            await seal()
    assert not await leaves(admin)
    assert await admin.fetchval("SELECT count(*) FROM consent.log_queue") == 3
    assert await seal() == 3


async def test_k35_every_entry_of_hundreds_is_proved_to_others(person, service, seal, admin) -> None:
    await person().agree()
    await admin.execute(
        "INSERT INTO consent.entries SELECT (e).* FROM (SELECT jsonb_populate_record(NULL::consent.entries,"
        " to_jsonb(e) || jsonb_build_object('position', nextval('consent.entries_position_seq'), 'user_id',"
        " gen_random_uuid(), 'consent_id', gen_random_uuid())) AS e"
        " FROM consent.entries AS e, generate_series(1, 599)) AS x".replace(
            "consent.entries SELECT", "consent.entries OVERRIDING SYSTEM VALUE SELECT"
        )
    )
    roots = {}
    for _ in range(2):
        assert await seal() in (600, 1)
        async with service.unit_of_work() as uow:
            newest = await TransparencyLog(uow.session).latest()
        roots[newest.size] = newest.root
        await person().agree()

    rows = await admin.fetch("SELECT * FROM consent.entries ORDER BY position")
    for row in (rows[0], rows[255], rows[256], rows[599], rows[600]):
        proved = await prove_inclusion(service.database, row["position"])
        data = leaf_of_entry(row)
        verify_inclusion(leaf_hash(data), proved.leaf_index, 601, proved.proof, proved.checkpoint.root)
        inclusion = SimpleNamespace(
            log_index=proved.leaf_index, tree_size=601, hashes=list(proved.proof), root_hash=roots[601]
        )
        sigstore.verify_merkle_inclusion(
            SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=data))
        )
    assert await prove_inclusion(service.database, rows[601]["position"]) is None
    proof = await prove_consistency(service.database, 600, 601)
    verify_consistency(600, 601, proof, old_root=roots[600], root=roots[601])


async def test_k35_digest_of_a_certificate_is_a_leaf_once(service, seal, admin) -> None:
    digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    for _ in range(2):
        async with service.unit_of_work() as uow:
            await anchor_digest(uow, digest, "erasure-certificate")

    assert await seal() == 1
    row = await admin.fetchrow("SELECT * FROM consent.log_anchors")
    anchored_at = row["anchored_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    data = (
        f'{{"anchored_at":"{anchored_at}","digest":"{digest}","kind":"erasure-certificate",'
        '"leaf":"anchor/1"}'
    )
    assert await leaves(admin) == [leaf_hash(data.encode())]
    assert (await prove_inclusion(service.database, row["position"], Source.ANCHOR)).leaf_index == 0


GROWING = ("log_anchors", "log_leaves", "log_nodes", "log_checkpoints", "log_cosignatures")


@pytest.mark.parametrize("table", GROWING)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {column} = NULL"])
async def test_s19_the_services_role_can_not_change_the_log(service, admin, table, statement) -> None:
    column = await admin.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 1 LIMIT 1",
        f"consent.{table}",
    )
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with service.unit_of_work() as uow:
            await uow.session.execute(text(statement.format(f"consent.{table}", column=column)))


async def test_s19_the_services_role_can_not_date_an_anchor_back(service) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with service.unit_of_work() as uow:
            await uow.session.execute(
                text("INSERT INTO consent.log_anchors (kind, digest, anchored_at) VALUES ('x', 'y', now())")
            )


async def test_s19_nothing_in_the_log_leads_to_a_person(person, service, seal, admin) -> None:
    anna = person()
    consent = (await anna.agree(country_code="DE", metadata={"app": "canary"})).json()
    salt = await admin.fetchval("SELECT salt FROM consent.entries")
    await seal()

    for table in (*GROWING, "log_queue"):
        dump = str([tuple(row) for row in await admin.fetch(f"SELECT * FROM consent.{table}")])
        for canary in (str(anna.id), consent["id"], "canary", salt.hex(), repr(salt)):
            assert canary not in dump
