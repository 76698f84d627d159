"""K35: a witness as strangers run it, and the worker that asks it; checkpoints come whatever it does."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.merkle import consistency_ranges, hash_range, leaf_hash, root_of
from consent.transparency.note import COSIGNATURE, Note, Signer, Verifier
from consent.transparency.witness import Submission
from support import eventually

START_SECONDS = 30
CHECKPOINT_SECONDS = 2.0
ORIGIN = "irisvue.example/ledger"
LOG = Signer(ORIGIN, hashlib.sha256(b"log").digest())
LEAVES = [leaf_hash(bytes([number])) for number in range(20)]


def submission(old: int, leaves: list[bytes]) -> str:
    def read(level: int, index: int) -> bytes:
        return root_of(leaves[index << level : (index + 1) << level])

    proof = tuple(hash_range(*each, read) for each in consistency_ranges(min(old, len(leaves)), len(leaves)))
    text = Checkpoint(ORIGIN, len(leaves), root_of(leaves)).text
    return str(Submission(old, proof, Note(text, (LOG.sign(text),))))


@asynccontextmanager
async def process(*arguments: str, **environment: str):
    """Run `python -m consent` with nothing but these variables, and end it in good order."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consent", *arguments),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE if arguments[0] == "witness" else asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), timeout=START_SECONDS) == 0


@pytest.fixture
def witness(tmp_path: Path):
    """Start a witness of a log: `async with witness(log) as (url, key)`; started anew it remembers."""

    @asynccontextmanager
    async def start(log: Verifier):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        files = ("--key", str(tmp_path / "key"), "--state", str(tmp_path / "state.json"))
        named = ("--name", "witness.example/w1", "--log", str(log), "--port", str(port))
        async with process("witness", *named, *files) as running:
            key = Verifier.parse((await running.stdout.readline()).decode().strip())
            url = f"http://127.0.0.1:{port}"

            async def answers() -> None:
                try:
                    assert (await post(url, ""))[0] == 400
                except aiohttp.ClientConnectionError as error:
                    raise AssertionError(str(error)) from error

            await eventually(answers, seconds=START_SECONDS)
            yield url, key

    return start


async def post(url: str, body: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.post(f"{url}/add-checkpoint", data=body) as answer:
        return answer.status, await answer.text()


@asynccontextmanager
async def worker(platform, *witnesses: tuple[str, Verifier]):
    told = json.dumps([{"url": url, "key": str(key)} for url, key in witnesses])
    async with process("worker", **platform.environment("consent") | {"CONSENT_WITNESSES": told}):
        yield


@asynccontextmanager
async def silent():
    """Take every connection and answer none: `async with silent() as (url, asked)`."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        over.set()


async def newest(admin) -> int:
    return await admin.fetchval("SELECT coalesce(max(tree_size), 0) FROM consent.log_checkpoints")


async def test_k35_witness_cosigns_refuses_a_fork_and_an_older_checkpoint_and_remembers(witness) -> None:
    rewritten = [*LEAVES[:2], leaf_hash(b"rewritten"), *LEAVES[3:12]]
    async with witness(LOG.verifier) as (url, key):
        for old, size in ((0, 3), (3, 9)):
            body = submission(old, LEAVES[:size])
            status, line = await post(url, body)
            assert status == 200
            signed = key.verify(Note.parse(body.partition("\n\n")[2] + line))
            assert abs(int.from_bytes(signed.value[:8], "big") - time.time()) < 60
        assert (await post(url, submission(9, rewritten)))[0] == 422
        assert await post(url, submission(9, rewritten[:9])) == (409, "9\n")
        assert await post(url, submission(9, LEAVES[:5])) == (
            400,
            "The checkpoint has 5 leaves, and the old size is 9.\n",
        )
    async with witness(LOG.verifier) as (url, again):
        assert again == key
        assert await post(url, submission(3, LEAVES[:5])) == (409, "9\n")
        assert (await post(url, submission(9, rewritten)))[0] == 422
        assert (await post(url, submission(9, LEAVES[:12])))[0] == 200


async def test_k35_worker_has_its_checkpoints_cosigned(person, service, platform, admin, witness) -> None:
    async with (
        witness(service.log_keys.verifiers[0]) as (url, key),
        worker(platform, (url, key)),
    ):
        for size in (1, 2):
            ann = person()
            await ann.agree()

            async def cosigned(size: int = size, ann=ann) -> None:
                answer = await ann.client.get("/api/v1/privacy/ledger/checkpoint")
                assert answer.status_code == 200
                note = Note.parse(answer.text)
                assert Checkpoint.parse(note.text).size == size
                assert len(note.signatures) == 2
                key.verify(note)

            await eventually(cosigned, seconds=START_SECONDS)


async def test_k35_checkpoint_is_there_in_two_seconds_while_a_witness_hangs(
    person, service, platform, admin
) -> None:
    hanging = Signer("witness.example/w2", hashlib.sha256(b"witness").digest(), COSIGNATURE).verifier

    async def sealed(size: int) -> None:
        assert await newest(admin) >= size

    async with silent() as (url, asked), worker(platform, (url, hanging)):
        await person().agree()
        # The worker has started, and waits for the witness from here on.
        await eventually(lambda: sealed(1), seconds=START_SECONDS)
        await asyncio.wait_for(asked.wait(), timeout=START_SECONDS)
        for size in range(2, 10):
            begun = time.monotonic()
            assert (await person().agree()).status_code == 201
            assert time.monotonic() - begun < CHECKPOINT_SECONDS
            await eventually(lambda size=size: sealed(size), seconds=CHECKPOINT_SECONDS)
        assert await admin.fetchval("SELECT count(*) FROM consent.log_cosignatures") == 0
