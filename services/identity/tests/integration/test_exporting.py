"""What identity writes for a copy of a person's data: all that the data map promises, and no secret."""

from uuid import UUID

import pytest

from chassis.consumer import Outcome
from chassis.ids import new_id
from identity.main import IDENTITY
from support.exports import ask_for_section, assembling, contributions, read_section


@pytest.fixture
def contribute(service, clock):
    """Ask for a section as the broker would."""

    async def _contribute(user_id, export_id, *, event_id=None) -> Outcome:
        return await ask_for_section(
            IDENTITY, service, clock, user_id=user_id, export_id=export_id, event_id=event_id or new_id()
        )

    return _contribute


async def test_section_is_what_its_schema_says_and_has_no_secret(service, ada, contribute) -> None:
    export_id = new_id()
    async with assembling(service.storage) as assembler:
        assert await contribute(UUID(ada.user_id), export_id) is Outcome.DONE
    section = assembler.sections[str(export_id)]

    records = read_section(section)
    (account,) = records["accounts"]
    assert (account["id"], account["email"]) == (ada.user_id, ada.email)
    assert len(records["sessions"]) == 1
    assert {mail["kind"] for mail in records["mails"]} == {"verify_address"}
    for secret in (
        b"password_hash",
        b"$argon2",
        b"token_hash",
        b"lease_token",
        ada.tokens["refresh_token"].encode(),
    ):
        assert secret not in section
    (told,) = await contributions(service)
    assert told["subject"] == f"exports/{export_id}"
    assert ada.email.encode() not in told["body"]


async def test_redelivered_request_writes_again_and_announces_once(service, ada, contribute) -> None:
    export_id, event_id = new_id(), new_id()
    async with assembling(service.storage) as assembler:
        for _ in range(2):
            assert await contribute(UUID(ada.user_id), export_id, event_id=event_id) is Outcome.DONE
    assert len(assembler.sections) == 1
    assert len(await contributions(service)) == 1


async def test_nothing_is_announced_when_nobody_waits_for_it_any_more(service, ada, contribute) -> None:
    async with assembling(service.storage) as assembler:
        assembler.over = True
        assert await contribute(UUID(ada.user_id), new_id()) is Outcome.DONE
    assert await contributions(service) == []
