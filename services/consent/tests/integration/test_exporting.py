"""What consent writes for a copy of a person's data: every entry with its receipt, gates and choices."""

import pytest

from chassis.consumer import Outcome
from chassis.export import ExportContribution, Exporting
from chassis.ids import new_id
from consent.main import CONSENT
from consent.use_cases.export_entries import EntryNotSealed
from consent.use_cases.find_disclosure import find_disclosure
from consent.use_cases.seal_log import seal_log
from contracts.storage import ExportRequested
from support.exports import ask_for_section, assembling, contributions, read_section

PLACES = {"gdpr": {"country_code": "DE"}, "ccpa": {"country_code": "US", "state_code": "CA"}}


@pytest.fixture
def contribution(service):
    exporting = Exporting(event=ExportRequested, assembler=lambda opened: opened.storage)
    return ExportContribution(service, CONSENT.section(service), exporting)


async def test_entries_come_with_receipts_and_only_the_persons_own(
    service, clock, person, contribution
) -> None:
    ada, grace = person(), person()
    granted = (await ada.agree()).json()
    assert (await ada.withdraw(granted["id"])).status_code == 200
    assert (await grace.agree()).status_code == 201
    await seal_log(service.database, keys=service.log_keys, clock=clock)
    export_id = new_id()

    async with assembling(service.storage) as assembler:
        counts = await contribution.write(export_id, ada.id)

    records = read_section(assembler.sections[str(export_id)])
    assert counts == {kind: len(found) for kind, found in records.items()}
    assert [entry["kind"] for entry in records["consent_entries"]] == ["grant", "withdrawal"]
    assert {entry["consent_id"] for entry in records["consent_entries"]} == {granted["id"]}
    assert all(entry["receipt"].count(".") == 2 for entry in records["consent_entries"])
    assert {record["user_id"] for found in records.values() for record in found} == {str(ada.id)}


async def test_entry_without_a_place_in_the_log_delays_the_section(service, person, contribution) -> None:
    ada = person()
    assert (await ada.agree()).status_code == 201
    async with assembling(service.storage) as assembler:
        with pytest.raises(EntryNotSealed):
            await contribution.write(new_id(), ada.id)
    assert assembler.sections == {}


async def test_section_is_announced_by_counts_alone(service, clock, person) -> None:
    ada, export_id = person(), new_id()
    async with assembling(service.storage) as assembler:
        answered = await ask_for_section(
            CONSENT, service, clock, user_id=ada.id, export_id=export_id, event_id=new_id()
        )
    assert answered is Outcome.DONE
    (told,) = await contributions(service)
    assert (told["type"], told["subject"]) == ("consent.export.contributed.v1", f"exports/{export_id}")
    assert str(ada.id).encode() not in told["body"]
    assert list(assembler.sections) == [str(export_id)]


@pytest.mark.parametrize(
    ("laws", "pictures"), [((), True), (("gdpr",), True), (("ccpa",), False), (("ccpa", "gdpr"), True)]
)
async def test_pictures_go_into_a_copy_unless_every_law_of_the_person_forbids_it(
    service, person, laws, pictures
) -> None:
    ada = person()
    for law, purpose in zip(laws, ("biometric_capture", "marketing"), strict=False):
        answer = await ada.agree(purpose, law, **PLACES[law])
        assert answer.status_code == 201, answer.text
    found = await find_disclosure(service.database, user_id=ada.id)
    assert (found.pictures, found.clause) == (pictures, None if pictures else "11 CCR 7024(d)")
