"""A copy of a person's data: everybody contributes, it is whole or not there, and it is fetched once."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from chassis.ids import new_id
from contracts.participation import ParticipantJoined
from storage.models import Export
from storage.use_cases.exports.expire_exports import expire_exports, remind_contributors, tell_exports


def opened(body: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(body))


async def test_copy_has_every_section_every_photo_and_a_manifest_that_holds(
    exporter, ada, pictures, make_ready, announced
) -> None:
    photos = [await ada.upload(pictures.jpeg()) for _ in range(2)]
    kept = {photo["id"]: (await ada.read(photo["original_url"])).content for photo in photos}
    url = await make_ready()
    answer = await exporter.fetch(url)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    with opened(answer.content) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        told = json.loads(archive.read("manifest.json"))
        for file in told["files"]:
            content = archive.read(file["path"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        assert {file["path"] for file in told["files"]} | {"manifest.json"} == set(names)
        for photo_id, content in kept.items():
            assert archive.read(f"photos/{photo_id}.jpg") == content
        assert json.loads(archive.read("data/identity.json")) == {"words": "hello"}
        document = json.loads(archive.read("data/storage.json"))
        schema = json.loads(archive.read("schemas/storage.schema.json"))
    broken = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(document)
    assert [error.message for error in broken] == []
    held = {holding["kind"]: holding["records"] for holding in document["holdings"]}
    assert {record["id"] for record in held["photos"]} == kept.keys()
    assert {record["file"] for record in held["objects"]} == {f"photos/{it}.jpg" for it in kept}
    assert {"README.md", "index.html", "data/consent.json", "schemas/consent.schema.json"} <= set(names)
    types = [event["type"] for event in await announced()]
    assert [name for name in types if "export" in name] == [
        "storage.export.requested.v1",
        "storage.export.ready.v1",
    ]


async def test_link_works_once_and_what_it_led_to_is_destroyed(exporter, service, make_ready, ada) -> None:
    url = await make_ready()
    assert (await exporter.fetch(url)).status_code == 200
    again = await exporter.fetch(url)
    assert (again.status_code, again.json()["type"]) == (410, "urn:irisvue:problem:archive-gone")
    status = await exporter.status()
    assert (status["status"], status["export_url"]) == ("expired", None)
    assert await service.destroyer.work_once() == 1
    assert (await service.vault.count_objects([ada.id]))[ada.id] == 0


async def test_changed_or_foreign_link_is_refused(exporter, make_ready) -> None:
    url = await make_ready()
    for changed in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("version=1", "version=2")):
        assert (await exporter.fetch(changed)).status_code == 403


async def test_second_request_while_one_runs_is_the_same_and_a_later_one_replaces_what_is_ready(
    exporter, make_ready
) -> None:
    assert await exporter.ask() == await exporter.ask()
    url = await make_ready()
    await exporter.ask()
    assert (await exporter.fetch(url)).status_code == 410
    assert (await exporter.status())["status"] == "pending"


async def test_nobody_asks_for_more_than_so_many_copies_a_day(exporter, service, clock) -> None:
    limit = service.settings.exports_per_day
    async with service.unit_of_work() as uow:
        now = uow.now()
        for number in range(limit):
            ended = {"status": "expired", "end_reason": "expired", "ended_at": now}
            uow.session.add(
                Export(
                    id=new_id(),
                    user_id=exporter.person.id,
                    folder=f"folder/{number}/",
                    requested_at=now,
                    asked_at=now,
                    **ended,
                )
            )
    refused = await exporter.call("POST")
    assert (refused.status_code, refused.json()["limit"]) == (429, limit)
    assert 0 < int(refused.headers["Retry-After"]) <= 86_401
    clock.advance(timedelta(days=1, seconds=1))
    assert (await exporter.call("POST")).status_code == 202


async def test_missing_contributor_is_named_and_delays(
    exporter, service, contribute, contributors, builder, deliver
) -> None:
    export_id = await exporter.ask()
    await contribute(export_id, without=("consent",))
    assert await builder.work_once() == 0
    status = await exporter.status()
    states = {it["service"]: it["status"] for it in status["progress"]["contributors"]}
    assert (status["status"], states) == ("pending", {"consent": "missing", "identity": "complete"})
    assert await tell_exports(service.database) == "1 wait, sections are missing of consent"
    await contributors["consent"].write(export_id)
    assert await builder.work_once() == 0
    await deliver(contributors["consent"].report(export_id))
    assert await builder.work_once() == 1
    assert (await exporter.status())["status"] == "ready"
    assert await tell_exports(service.database) is None


async def test_service_that_has_joined_is_waited_for_too(exporter, deliver, builder, contribute) -> None:
    joined = ParticipantJoined.by("rendering").of(handles=("erasure", "export"), version="0.1.0")
    await deliver(joined)
    await contribute(await exporter.ask())
    assert await builder.work_once() == 0
    progress = (await exporter.status())["progress"]["contributors"]
    assert [it["service"] for it in progress if it["status"] == "missing"] == ["rendering"]


async def test_silent_contributors_are_asked_again_and_only_they(
    exporter, service, contribute, announced, clock
) -> None:
    await exporter.ask()

    async def asked() -> int:
        found = [event for event in await announced() if event["type"] == "storage.export.requested.v1"]
        return len(found)

    pause, terms = timedelta(minutes=1), service.export_terms
    assert await remind_contributors(service.database, terms, pause=pause) == 0
    clock.advance(timedelta(minutes=2))
    assert await remind_contributors(service.database, terms, pause=pause) == 1
    assert await asked() == 2
    await contribute((await exporter.status())["export_id"])
    clock.advance(timedelta(minutes=2))
    assert await remind_contributors(service.database, terms, pause=pause) == 0


async def test_what_nobody_fetches_and_what_is_never_whole_ends(
    exporter, service, make_ready, clock, ada
) -> None:
    url = await make_ready()
    clock.advance(timedelta(hours=72, seconds=1))
    assert (await exporter.fetch(url)).status_code == 410
    assert await expire_exports(service.database, service.export_terms) == 1
    assert (await exporter.status())["status"] == "expired"
    await service.destroyer.work_once()
    assert (await service.vault.count_objects([ada.id]))[ada.id] == 0
    await exporter.ask()
    clock.advance(timedelta(days=31))
    assert await expire_exports(service.database, service.export_terms) == 1
    assert (await exporter.status())["status"] == "failed"
    clock.advance(timedelta(days=31))
    assert await expire_exports(service.database, service.export_terms) == 0
    assert (await exporter.call("GET", "/status")).status_code == 404


async def test_section_is_taken_from_its_author_over_a_link_that_is_good(
    exporter, contributors, clock
) -> None:
    identity, consent = contributors["identity"], contributors["consent"]
    export_id = await exporter.ask()
    path = (await identity.link(export_id)).json()["path"]
    assert (await consent.put(path)).status_code == 403
    assert (await identity.put(path.replace("identity", "consent"))).status_code == 403
    assert (await identity.put(path[:-1] + "x")).status_code == 403
    assert (await exporter._client.put(path, content=b"{}")).status_code == 401
    assert (await identity.link(str(new_id()))).status_code == 410
    clock.advance(timedelta(minutes=6))
    assert (await identity.put(path)).status_code == 410


async def test_section_with_too_many_bytes_is_not_kept(exporter, contributors, service, monkeypatch) -> None:
    export_id = await exporter.ask()
    path = (await contributors["identity"].link(export_id)).json()["path"]
    large = bytes(service.settings.export_section_bytes + 1)
    answer = await contributors["identity"].put(path, large)
    assert answer.status_code == 413
    states = {it["service"]: it["status"] for it in (await exporter.status())["progress"]["contributors"]}
    assert states["identity"] == "missing"


async def test_section_larger_than_a_part_comes_whole(exporter, contributors, deliver, builder) -> None:
    export_id = await exporter.ask()
    large = json.dumps({"words": "x" * 20_000_000}).encode()
    await contributors["identity"].write(export_id, b'{"type": "object"}\n' + large)
    await contributors["consent"].write(export_id)
    for contributor in contributors.values():
        await deliver(contributor.report(export_id))
    assert await builder.work_once() == 1
    answer = await exporter.fetch((await exporter.status())["export_url"])
    with opened(answer.content) as archive:
        assert archive.read("data/identity.json") == large


@pytest.mark.parametrize("id_of", ["nobody", "somebody else"])
async def test_person_without_an_export_is_told_so(exporter, grace, id_of) -> None:
    if id_of == "somebody else":
        await exporter.ask()
    other = type(exporter)(grace)
    assert (await other.call("GET", "/status")).status_code == 404


async def test_pictures_stay_out_where_the_law_forbids_it_and_the_copy_says_so(
    exporter, ada, pictures, consent, make_ready
) -> None:
    photo = await ada.upload(pictures.jpeg())
    consent.withholding[str(ada.id)] = "11 CCR 7024(d)"
    answer = await exporter.fetch(await make_ready())
    with opened(answer.content) as archive:
        assert [name for name in archive.namelist() if name.startswith("photos/")] == [
            "photos/NOT-INCLUDED.txt"
        ]
        assert "11 CCR 7024(d)" in archive.read("photos/NOT-INCLUDED.txt").decode()
        assert photo["id"] in archive.read("data/storage.json").decode()
