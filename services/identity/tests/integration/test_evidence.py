"""What proves an erasure leaves in one file, and not without a trace."""

import asyncio
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import zipfile

import jwt
import pytest
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from identity.erasure.published import DOCUMENTS

UNKNOWN = "019ab0c4-1000-7001-8001-0000316edc57"
CHECKPOINT = "consent-log-checkpoint.txt"


@pytest.fixture
async def gateway():
    """Return where something answers that publishes all but the checkpoint of the log."""

    async def handle(request):
        if request.path == DOCUMENTS[CHECKPOINT]:
            return web.Response(status=503)
        return web.Response(text=f"what {request.path} says")

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def take(platform, gateway, tmp_path):
    """Return a function that runs the command; it gives the exit status, what was said, and the file."""

    async def run(erasure_id):
        out = tmp_path / "bundle.zip"
        command = ["evidence", erasure_id, "--out", str(out), "--by", "Grace", "--published-at", gateway]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "identity", *command),
            env={**os.environ, **platform.environment("identity")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        return process.returncode, told.decode(), out

    return run


@pytest.fixture
async def noted(platform):
    """Return a function that lists the bundles that were noted."""

    async def bundles():
        connection = await platform.connect_as_admin()
        try:
            return [dict(row) for row in await connection.fetch("SELECT * FROM identity.evidence_bundles")]
        finally:
            await connection.close()

    return bundles


@pytest.fixture
def erasure_id(deletion):
    return deletion["erasure_id"]


async def test_a_bundle_has_the_erasure_and_what_is_published_and_is_noted(ada, erasure_id, take, noted):
    code, told, out = await take(erasure_id)
    assert (code, f"without certificate.jwt, {CHECKPOINT}" in told) == (0, True), told
    assert stat.S_IMODE(out.stat().st_mode) == 0o600

    with zipfile.ZipFile(io.BytesIO(out.read_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"] == {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert manifest["missing"] == {
        CHECKPOINT: "answered 503",
        "certificate.jwt": "not every participant has reported",
    }
    assert files.keys() == {"erasure.json", *DOCUMENTS} - {CHECKPOINT}
    assert files["retention-schedule.json"] == b"what /api/v1/privacy/retention-schedule says"
    erasure = json.loads(files["erasure.json"])
    assert [part["service"] for part in erasure["participants"]] == ["consent", "identity", "storage"]
    assert ada.user_id not in files["erasure.json"].decode()

    (bundle,) = await noted()
    assert (str(bundle["erasure_id"]), bundle["made_by"]) == (erasure_id, "Grace")
    assert bundle["digest"] == hashlib.sha256(out.read_bytes()).hexdigest()


async def test_the_bundle_of_a_complete_erasure_has_its_certificate(service, erasure_id, report, take):
    await service.load_keys()
    for participant in ("consent", "identity", "storage"):
        await report(participant, accounts=1)
    _, _, out = await take(erasure_id)
    with zipfile.ZipFile(io.BytesIO(out.read_bytes())) as archive:
        claims = jwt.decode(archive.read("certificate.jwt"), options={"verify_signature": False})
        steps = [it["step"] for it in json.loads(archive.read("erasure.json"))["steps"]]
    assert (claims["erasure_id"], claims["status"]) == (erasure_id, "completed")
    assert steps == ["requested", "erasing", "verifying", "completed"]


async def test_a_file_that_is_there_is_never_written_over(erasure_id, take):
    _, _, out = await take(erasure_id)
    before = out.read_bytes()
    code, told, _ = await take(erasure_id)
    assert (code, "exists" in told, out.read_bytes()) == (1, True, before)


async def test_an_unknown_erasure_has_no_bundle(service, take, noted):
    code, told, out = await take(UNKNOWN)
    assert (code, out.exists(), await noted()) == (1, False, [])
    assert "no erasure has this id" in told


async def test_what_was_noted_can_not_be_changed_by_the_service(erasure_id, take, service):
    await take(erasure_id)
    changes = ("UPDATE identity.evidence_bundles SET made_by = 'x'", "DELETE FROM identity.evidence_bundles")
    for statement in changes:
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with service.unit_of_work() as uow:
                await uow.session.execute(text(statement))
