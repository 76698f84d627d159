"""K35: a witness cosigns what continues what it knows, refuses a fork, and never holds up the sealer."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient

from chassis.process import Process
from chassis.server import serve
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.merkle import consistency_ranges, hash_range, leaf_hash, root_of
from consent.transparency.note import COSIGNATURE, Note, Signer
from consent.transparency.witness import Submission, Witness
from consent.use_cases.ask_witness import WitnessAway, Witnessing
from consent.use_cases.read_log import read_checkpoint
from consent.use_cases.seal_log import seal_log
from consent.witness_api import create_app
from support import eventually

ORIGIN = "irisvue.example/ledger"
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
LOG = Signer(ORIGIN, hashlib.sha256(b"log").digest())
WITNESS = Signer("witness.example/w1", hashlib.sha256(b"witness").digest(), COSIGNATURE)


def submission(old: int, leaves: list[bytes], *, signer: Signer = LOG, origin: str = ORIGIN) -> str:
    def read(level: int, index: int) -> bytes:
        return root_of(leaves[index << level : (index + 1) << level])

    proof = tuple(hash_range(*each, read) for each in consistency_ranges(min(old, len(leaves)), len(leaves)))
    text = Checkpoint(origin, len(leaves), root_of(leaves)).text
    return str(Submission(old, proof, Note(text, (signer.sign(text),))))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "witness.json"


@pytest.fixture
def post(state: Path):
    """Send a body to a witness that was started just now: `status, said, kind = await post(body)`."""

    async def send(body: str | bytes):
        witness = Witness(WITNESS, {ORIGIN: LOG.verifier}, state, now=lambda: 1_700_000_000)
        transport = ASGITransport(create_app(witness))
        async with AsyncClient(transport=transport, base_url="http://witness") as client:
            answer = await client.post("/add-checkpoint", content=body)
        return answer.status_code, answer.text, answer.headers["Content-Type"]

    return send


async def test_k35_what_continues_is_cosigned_through_restarts(post) -> None:
    for old, size in ((0, 3), (3, 3), (3, 17), (17, 40)):
        body = submission(old, LEAVES[:size])
        status, line, _ = await post(body)
        assert status == 200
        note = Note.parse(body.partition("\n\n")[2] + line)
        assert int.from_bytes(WITNESS.verifier.verify(note).value[:8], "big") == 1_700_000_000


async def test_k35_other_old_size_is_answered_with_the_size_that_it_knows(post) -> None:
    await post(submission(0, LEAVES[:7]))
    for old in (0, 3):
        assert await post(submission(old, LEAVES[:9])) == (409, "7\n", "text/x.tlog.size")
    # An older checkpoint than the one that it knows names both sizes: what was sent, and this.
    assert await post(submission(3, LEAVES[:5])) == (409, "7\n", "text/x.tlog.size")


async def test_s19_rewritten_tree_is_refused(post, state) -> None:
    await post(submission(0, LEAVES[:7]))
    before = state.read_text()
    rewritten = [*LEAVES[:2], leaf_hash(b"rewritten"), *LEAVES[3:12]]

    assert (await post(submission(7, rewritten)))[0] == 422
    assert (await post(submission(7, rewritten[:7])))[0] == 409
    assert state.read_text() == before


async def test_k35_unknown_logs_and_keys_are_refused(post, state) -> None:
    stranger = Signer(ORIGIN, hashlib.sha256(b"stranger").digest())
    assert (await post(submission(0, LEAVES[:3], origin="another.example/log")))[0] == 404
    assert (await post(submission(0, LEAVES[:3], signer=stranger)))[0] == 403
    assert not state.exists()


@pytest.mark.parametrize(
    "body",
    [
        *(
            "",
            "old 0\n",
            "old 01\n\n",
            b"\xff",
            "old 0\nAAAA\n\n" + submission(0, LEAVES[:1]).partition("\n\n")[2],
        ),
        submission(5, LEAVES[:3]),
        "old 0\n" + ("A" * 43 + "=\n") * 64 + "\n" + submission(0, LEAVES[:1]).partition("\n\n")[2],
    ],
)
async def test_k35_malformed_requests_are_refused(post, body) -> None:
    assert (await post(body))[0] == 400


async def test_k35_what_is_too_large_is_refused(post) -> None:
    assert (await post("old 0\n" + "A" * 70_000))[0] == 413


async def test_k35_crash_while_it_remembers_leaves_what_it_knew(post, state, monkeypatch) -> None:
    await post(submission(0, LEAVES[:7]))
    before = state.read_text()

    def dies(*_) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", dies)
        with pytest.raises(OSError, match="full"):
            await post(submission(7, LEAVES[:9]))
    assert state.read_text() == before
    assert (await post(submission(7, LEAVES[:9])))[0] == 200


@asynccontextmanager
async def running(app):
    """Serve an application on a free port; yields its address."""
    server = serve(app, host="127.0.0.1", port=0)
    process = Process()

    @asynccontextmanager
    async def parts():
        yield [server.part("http")]

    task = asyncio.create_task(process.run(parts()))
    await eventually(lambda: _started(server))
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        process.stop()
        await task


async def _started(server) -> None:
    assert server.started


async def test_k35_sealed_checkpoints_are_published_with_cosignatures(person, service, tmp_path) -> None:
    witness = Witness(
        WITNESS,
        {service.log_keys.origin: service.log_keys.verifiers[0]},
        tmp_path / "w",
        now=lambda: 1_700_000_000,
    )
    async with running(create_app(witness)) as url:
        for size in (1, 3):
            for _ in range(1 if size == 1 else 2):
                await person().agree()
            await seal_log(service.database, keys=service.log_keys, clock=service.clock)
            # One that has forgotten what the witness knows is told so by the witness.
            await Witnessing(service.database, url, WITNESS.verifier).ask()
            note = Note.parse((await read_checkpoint(service.database)).note)
            assert Checkpoint.parse(note.text).size == size
            assert WITNESS.verifier.verify(note)
            assert service.log_keys.verifiers[0].verify(note)


async def test_k35_witness_of_a_log_that_lost_leaves_says_so(person, service, admin, tmp_path) -> None:
    witness = Witness(
        WITNESS,
        {service.log_keys.origin: service.log_keys.verifiers[0]},
        tmp_path / "w",
        now=lambda: 1_700_000_000,
    )
    async with running(create_app(witness)) as url:
        asking = Witnessing(service.database, url, WITNESS.verifier)
        for _ in range(2):
            await person().agree()
            await seal_log(service.database, keys=service.log_keys, clock=service.clock)
        await asking.ask()
        for table in ("log_checkpoints", "log_cosignatures"):
            await admin.execute(f"DELETE FROM consent.{table} WHERE tree_size > 1")
        with pytest.raises(WitnessAway, match="larger"):
            await asking.ask()


async def test_k35_witness_that_is_away_holds_up_nothing(person, service) -> None:
    await person().agree()
    assert await seal_log(service.database, keys=service.log_keys, clock=service.clock) == 1
    with pytest.raises(WitnessAway):
        await Witnessing(service.database, "http://127.0.0.1:1", WITNESS.verifier).ask()
    await person().agree()
    assert await seal_log(service.database, keys=service.log_keys, clock=service.clock) == 1
