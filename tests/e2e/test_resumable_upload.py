"""Uploads that go on after a break, through the gateway, with the client of npm as it comes."""

import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ClusterError
from demo import picture
from support.node import installed, run_node

SCRIPT = Path(__file__).parent / "upload.mjs"
CHUNK = 32 * 1024


@pytest.fixture(scope="session")
def tools() -> Path:
    try:
        return installed("tus")
    except ClusterError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def send(stage, tools, tmp_path, jpeg) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    """Let the client upload a picture of a person; return what it told, and that it ended as it should."""
    file = tmp_path / "iris.jpg"
    file.write_bytes(jpeg)

    async def sent(person, *, ends_with: int = 0, **options: Any) -> list[dict[str, Any]]:
        given = {
            "endpoint": f"{stage.url}/api/v1/photos/uploads",
            "token": person.app.access_token,
            "file": str(file),
            "urls": str(tmp_path / "urls.json"),
            **options,
        }
        client = await run_node(SCRIPT, str(tools), json.dumps(given))
        out, err = await client.communicate()
        assert client.returncode == ends_with, f"{out.decode()}\n{err.decode()}"
        return [json.loads(line) for line in out.splitlines()]

    return sent


def photo_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


async def confirmed(person, told: list[dict[str, Any]], jpeg: bytes) -> None:
    """Confirm the photo and read it back."""
    photo_id = photo_of(told[-1]["url"])
    answer = await person.app.confirm(photo_id, file_size=len(jpeg), width=1, height=1)
    assert answer.status == 200, answer.body
    shown = picture.read((await person.app.follow("GET", answer.document["original_url"])).body)
    sent = picture.read(jpeg)
    assert (shown.width, shown.height) == (sent.width, sent.height)


@pytest.mark.parametrize("whole", [False, True])
async def test_client_of_npm_uploads_a_picture(person, send, jpeg, whole: bool) -> None:
    await person.agree()
    told = await send(person, whole=whole)
    requests = [(it["method"], it["status"]) for it in told[:-1]]
    assert requests == ([("POST", 201)] if whole else [("POST", 201), ("PATCH", 204)])
    assert all(it["version"] == "1.0.0" and it["expires"] for it in told[:-1])
    await confirmed(person, told, jpeg)


async def test_upload_goes_on_after_the_app_and_a_process_of_storage_were_killed(
    stage, person, send, jpeg
) -> None:
    await person.agree()
    before = await send(person, chunkSize=CHUNK, dieAfter=CHUNK, ends_with=-signal.SIGKILL)
    assert [(it["method"], it["status"]) for it in before] == [("POST", 201), ("PATCH", 204)]
    stage.cluster.kill("storage-api")
    await stage.cluster.until_ready("storage-api")

    after = await send(person, chunkSize=CHUNK)

    assert (after[0]["method"], after[0]["status"], after[0]["offset"]) == ("HEAD", 200, str(CHUNK))
    assert [it["offset"] for it in after[1:-1]] == [
        str(min(end, len(jpeg))) for end in range(2 * CHUNK, len(jpeg) + CHUNK, CHUNK)
    ]
    await confirmed(person, after, jpeg)


async def test_client_ends_an_upload_and_nothing_is_left(stage, person, send) -> None:
    await person.agree()
    told = await send(person, chunkSize=CHUNK, abortAfter=CHUNK)
    assert ("DELETE", 204) in {(it.get("method"), it.get("status")) for it in told}
    assert (await person.app.photos(include="pending")).document["total"] == 0


async def test_without_consent_the_client_is_told_why(person, send) -> None:
    told = await send(person, ends_with=1)
    assert told[0]["status"] == 403
    assert "consent-required" in told[-1]["error"]


async def test_erasure_takes_an_unfinished_upload_and_the_name_of_its_file_was_never_kept(
    stage, person, send, until_erased
) -> None:
    await person.agree()
    told = await send(person, chunkSize=CHUNK, dieAfter=CHUNK, ends_with=-signal.SIGKILL)
    assert told[-1]["offset"] == str(CHUNK)
    async with stage.database() as connection:
        rows = await connection.fetch("SELECT p::text FROM storage.photos p")
    assert not any("canary-file-name" in row[0] for row in rows)
    status = await until_erased(person.app, await person.ask_to_be_erased())
    erased = next(it["erased"] for it in status["participants"] if it["service"] == "storage")
    assert (erased["photos"], erased["objects"]) == (1, 1)
