"""G-19: the request to be erased is part of what a person is told, and what in it leads to them is erased."""

from datetime import timedelta

import pytest

from identity.main import IDENTITY

TABLES = ("erasures", "deletion_requests", "erasure_participants", "processor_requests", "holds")


@pytest.fixture
def columns():
    """Return what the data map says about the columns of a request, by table and column."""
    rows = IDENTITY.data_map().document()["columns"]
    return {
        (row["table"].removeprefix("identity."), row["column"]): row
        for row in rows
        if row["table"].removeprefix("identity.") in TABLES
    }


def test_the_request_is_in_the_persons_own_data_and_its_token_is_not(columns):
    # Of somebody who is erased no copy is made any more: who holds the token is shown that request.
    for column in ("requested_at", "deadline", "grace_until"):
        assert columns["deletion_requests", column]["in_export"] is True, column
    assert columns["erasures", "status_token_hash"]["in_export"] is False
    assert columns["deletion_requests", "status_token_hash"]["in_export"] is False


async def test_what_leads_to_the_person_is_erased_with_the_rest(
    platform, ada, deletion, report, client, service, clock
):
    clock.advance(timedelta(seconds=1))
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    connection = await platform.connect_as_admin()
    try:
        for table in TABLES:
            rows = await connection.fetch(f"SELECT t::text FROM identity.{table} t")
            assert not any(ada.user_id in row[0] for row in rows), table
        assert await connection.fetchval("SELECT count(*) FROM identity.erasures") == 1
    finally:
        await connection.close()
    # Whoever has the token can still see the request.
    path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}"
    told = (await client.get(path, headers={"X-Erasure-Token": deletion["status_token"]})).json()
    assert (told["status"], told["requested_at"] < told["completed_at"]) == ("completed", True)
    assert ada.user_id not in str(told)
