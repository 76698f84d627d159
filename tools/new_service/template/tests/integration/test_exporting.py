from chassis.export import ExportContribution, Exporting
from chassis.ids import new_id
from contracts.storage import ExportRequested
from sample.main import SAMPLE
from support.exports import assembling, read_section


async def test_section_of_an_export_has_what_its_author_wrote_and_nothing_of_others(
    as_somebody, service
) -> None:
    ada, grace, export_id = new_id(), new_id(), new_id()
    for person in (ada, grace):
        async with as_somebody(person) as client:
            assert (await client.post("/api/v1/sample/entries", json={"words": "Hello"})).status_code == 201
    exporting = Exporting(event=ExportRequested, assembler=lambda opened: opened.storage)
    contribution = ExportContribution(service, SAMPLE.section(service), exporting)

    async with assembling(service.storage) as assembler:
        assert await contribution.write(export_id, ada) == {"entries": 1}

    (entry,) = read_section(assembler.sections[str(export_id)])["entries"]
    assert (entry["user_id"], entry["words"]) == (str(ada), "Hello")
