import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from chassis.holdings import Holdings
from chassis.ids import new_id
from consent.holdings import HOLDINGS
from consent.models import SCHEMA, Base
from consent.repositories import Ledger

PERSONAL = {"user_id", "consent_id", "metadata", "country", "region", "residence", "ip_address", "salt"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent.entries SET occurred_at = now()",
        "UPDATE consent.entries SET user_id = NULL",
        "DELETE FROM consent.entries",
        "TRUNCATE consent.entries",
        "ALTER TABLE consent.entries DISABLE TRIGGER ALL",
        "INSERT INTO consent.entries SELECT * FROM consent.entries",
        "ALTER FUNCTION consent.erase_person(uuid) SECURITY INVOKER",
    ],
)
async def test_the_service_can_not_change_what_is_written(person, service, admin, statement) -> None:
    await person().agree()
    before = await admin.fetch("SELECT * FROM consent.entries")
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner|cannot insert"):
        async with service.unit_of_work() as uow:
            await uow.session.execute(text(statement))
    assert await admin.fetch("SELECT * FROM consent.entries") == before


async def test_the_services_role_may_read_all_and_write_all_but_position_and_time(admin) -> None:
    rights = await admin.fetch(
        "SELECT privilege_type, array_agg(column_name::text) AS columns"
        " FROM information_schema.column_privileges"
        " WHERE table_schema = 'consent' AND table_name = 'entries' AND grantee = 'consent_app' GROUP BY 1"
    )
    columns = {column.name for column in Base.metadata.tables[f"{SCHEMA}.entries"].columns}
    assert {row["privilege_type"]: set(row["columns"]) for row in rights} == {
        "SELECT": columns,
        "INSERT": columns - {"position", "occurred_at"},
    }


A_GRANT = (
    "kind, consent_type, jurisdiction, jurisdictions, consent_text_version, text_digest, locale,"
    " ruleset_version, ruleset_digest, epoch, expires_at, commitment, user_id, consent_id, salt"
)
VALUES = (
    "'grant', 'marketing', 'gdpr', '{gdpr}', '2026-01', '', 'en', '2026-01', '', 1,"
    " now() + interval '1 day', '', gen_random_uuid(), gen_random_uuid(), ''"
)


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO consent.entries (position, {A_GRANT}) OVERRIDING SYSTEM VALUE VALUES (-5, {VALUES})",
        f"INSERT INTO consent.entries (occurred_at, {A_GRANT}) VALUES ('2020-01-01', {VALUES})",
        "SELECT nextval('consent.entries_position_seq')",
        "SELECT setval('consent.entries_position_seq', 1)",
        "ALTER TABLE consent.entries ALTER occurred_at SET DEFAULT '2020-01-01'",
        "SELECT consent.erase_person('{person}')",
    ],
)
async def test_the_service_can_neither_date_an_entry_nor_blank_who_is_not_erased(
    person, service, admin, statement
) -> None:
    ann = person()
    await ann.agree()
    before = await admin.fetch("SELECT * FROM consent.entries")
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        async with service.unit_of_work() as uow:
            await uow.session.execute(text(statement.replace("{person}", str(ann.id))))
    assert await admin.fetch("SELECT * FROM consent.entries") == before


async def test_position_and_time_of_an_entry_are_the_databases(service, admin) -> None:
    async with service.unit_of_work() as uow:
        await uow.session.execute(text(f"INSERT INTO consent.entries ({A_GRANT}) VALUES ({VALUES})"))
    assert await admin.fetchval(
        "SELECT clock_timestamp() - occurred_at < interval '10 s' AND position > 0 FROM consent.entries"
    )


async def test_nobody_else_may_blank_entries(admin) -> None:
    granted_to = await admin.fetchval(
        "SELECT array_agg(grantee::text ORDER BY grantee) FROM information_schema.role_routine_grants "
        "WHERE routine_schema = 'consent' AND routine_name = 'erase_person'"
    )
    assert granted_to == ["consent_app", "consent_owner"]
    assert await admin.fetchval(
        "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'erase_person'"
    ) == ("consent_owner")


async def test_erasing_blanks_the_person_and_leaves_the_commitments(
    person, service, admin, open_erasure
) -> None:
    ann, ben = person(), person()
    granted = (await ann.agree(metadata={"screen": "canary"})).json()
    await ann.withdraw(granted["id"])
    await ben.agree()
    before = await admin.fetch("SELECT * FROM consent.entries ORDER BY position")
    holdings = Holdings(service, HOLDINGS)
    assert (await holdings.count([ann.id]))[ann.id] == {
        "consent_entries": 2,
        "consent_gates": 1,
        "last_activity": 0,
        "preferences": 0,
    }
    await open_erasure(ann.id)
    await holdings.erase([ann.id])
    await holdings.erase([ann.id])
    assert (await holdings.count([ann.id]))[ann.id] == {
        "consent_entries": 0,
        "consent_gates": 0,
        "last_activity": 0,
        "preferences": 0,
    }
    after = await admin.fetch("SELECT * FROM consent.entries ORDER BY position")
    for old, new in zip(before[:2], after[:2], strict=True):
        assert {name: new[name] for name in PERSONAL} == dict.fromkeys(PERSONAL)
        assert {**dict(new), **{name: old[name] for name in PERSONAL}} == dict(old)
    assert after[2] == before[2]
    assert (await holdings.count([ben.id]))[ben.id] == {
        "consent_entries": 1,
        "consent_gates": 1,
        "last_activity": 0,
        "preferences": 0,
    }


async def test_a_commitment_is_to_this_person_and_no_other(person, service) -> None:
    ann = person()
    await ann.agree(metadata={"screen": "1"})
    async with service.unit_of_work() as uow:
        [granted] = await Ledger(uow.session).grants(ann.id, limit=2)
        entry = granted.entry
        assert entry.holds()
        uow.session.expunge(entry)
    entry.user_id = new_id()
    assert not entry.holds()


async def test_an_entry_is_whole_or_blank(person, admin) -> None:
    await person().agree()
    for column in ("user_id", "consent_id", "salt"):
        with pytest.raises(Exception, match="ck_entries_whole_or_blank"):
            await admin.execute(f"UPDATE consent.entries SET {column} = NULL")


async def test_two_entries_of_one_gate_never_share_an_epoch(person, admin) -> None:
    await person().agree()
    columns = ", ".join(
        column.name
        for column in Base.metadata.tables[f"{SCHEMA}.entries"].columns
        if column.name not in {"position", "consent_id"}
    )
    with pytest.raises(Exception, match="uq_entries_user_id_consent_type_epoch"):
        await admin.execute(
            f"INSERT INTO consent.entries ({columns}, consent_id) "
            f"SELECT {columns}, gen_random_uuid() FROM consent.entries"
        )


def test_every_table_and_every_personal_column_says_what_erasure_does_to_it() -> None:
    for table in Base.metadata.tables.values():
        assert "on_erase" in table.info, table.name
    entries = Base.metadata.tables[f"{SCHEMA}.entries"]
    assert {column.name for column in entries.columns if "on_erase" in column.info} == PERSONAL
    assert all(
        re.match("null|delete|retain", column.info.get("on_erase", "null")) for column in entries.columns
    )
