"""Rows about single requests: reading an account, health, a grant, an upload link, the bytes of a picture."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import jwt

from benchmarks import processes
from benchmarks.client import Answer, Connection, bearer, request
from benchmarks.comparison import Measure, Row, Sample
from benchmarks.load import Step, closed_loop, expect, repeating
from benchmarks.pictures import one_mebibyte
from benchmarks.references import lean, rows
from benchmarks.references.objects import BareStore
from benchmarks.subject import API, Person, Subject
from benchmarks.taking import take_picture, target, upload
from chassis.service_auth import GATEWAY_TOKEN_HEADER
from support.gateway import gateway_proof

CLIENTS = 16
PICTURE_CLIENTS = 8
SECONDS = 4.0
Peer = Callable[[str], AbstractAsyncContextManager[tuple[str, bytes]]]
CONSENT_TYPES = ("biometric_capture", "data_processing", "marketing")


def rate(url: str, step: Callable[[], Step], *, clients: int = CLIENTS, ok: int = 200) -> Measure:
    """Measure requests per second."""

    async def measure() -> Sample:
        load = await closed_loop(url, step(), clients=clients, seconds=SECONDS, ok=ok)
        return Sample(load.rate, load.cpu)

    return measure


def always(*messages: bytes) -> Callable[[], Step]:
    """Send the same requests in turns, without end."""
    return lambda: repeating(cycle(messages))


async def account_rows(subject: Subject, stack: AsyncExitStack, place: Path) -> list[Row]:
    """Compare `GET /users/me` with peers, and the gateway with identity alone and with a bare framework."""
    people = await subject.sign_in(CLIENTS)
    path = f"{API}/users/me"
    through = rate(subject.gateway, always(*(request("GET", path, one.headers) for one in people)))
    key = subject.cluster.values["GATEWAY_SERVICE_KEY"]
    proof = gateway_proof(key, "identity")

    def directly() -> Step:
        # The gateway's token lives for a minute: each sample has one of its own.
        headers = {GATEWAY_TOKEN_HEADER: proof()}
        return repeating(cycle([request("GET", path, {**one.headers, **headers}) for one in people]))

    straight = rate(subject.identity, directly)
    healthy = rate(subject.gateway, always(request("GET", "/health/liveness")))
    hello = await _lean(subject, stack)
    bare = rate(hello, always(request("GET", "/hello")))
    found = [
        Row("`GET /users/me` through the gateway / identity directly", "per s", through, straight, 0.55),
        Row("`GET /health/liveness` of the gateway / a FastAPI hello", "per s", healthy, bare, 0.8),
    ]
    peers: Mapping[str, Peer] = {
        "fastapi-users": partial(processes.fastapi_users, place / "fastapi-users"),
        "Parse Server": partial(processes.parse_server, place / "parse"),
    }
    for name, start in peers.items():
        dsn = await _database(subject, name.replace(" ", "_").replace("-", "_").lower())
        url, message = await stack.enter_async_context(start(dsn))
        peer = rate(url, always(message))
        found.append(Row(f"`GET /users/me` through the gateway / {name}", "per s", through, peer, 2.0))
    return found


async def consent_rows(subject: Subject, people: list[Person]) -> list[Row]:
    """Compare a grant with the same three rows inserted by the driver alone."""
    connection = await subject.connect()
    await connection.execute(rows.SCHEMA)
    await connection.close()

    async def grants() -> Sample:
        await subject.quiesce()
        await subject.value("TRUNCATE consent.entries, consent.gates")
        messages = (subject.grant(one, kind) for kind in CONSENT_TYPES for one in people)
        load = await closed_loop(
            subject.gateway, repeating(messages), clients=CLIENTS, seconds=SECONDS, ok=201
        )
        return Sample(load.rate, load.cpu)

    async def raw() -> Sample:
        await subject.quiesce()
        return await rows.insert(subject.dsn, clients=CLIENTS, seconds=SECONDS)

    return [Row("consent grant / raw insert and commit of three rows", "per s", grants, raw, 0.25)]


async def photo_rows(subject: Subject, stack: AsyncExitStack) -> list[Row]:
    """Compare links and bytes of pictures with a lean service and with the bare store."""
    people = await subject.sign_in(CLIENTS)
    await subject.agree(people)
    await subject.quiesce()
    asks = [
        request("POST", f"{API}/photos/upload", headers=one.headers, body={"content_type": "image/jpeg"})
        for one in people
    ]
    url, token = await _lean_with_consent(subject, stack)
    lean_ask = request("POST", "/photos/upload", bearer(token), body={"content_type": "image/jpeg"})
    picture = one_mebibyte()
    store = BareStore(subject.platform.servers.s3_endpoint, subject.platform.servers.s3_admin)
    store.prepare()
    kept = await _kept_pictures(subject, people[:PICTURE_CLIENTS], picture)

    async def put() -> Sample:
        step = _uploads(asks, picture)
        load = await closed_loop(subject.gateway, step, clients=PICTURE_CLIENTS, seconds=SECONDS)
        return Sample(load.rate, load.cpu)

    async def in_pieces() -> Sample:
        step = _resumable_uploads(people, picture)
        load = await closed_loop(subject.gateway, step, clients=PICTURE_CLIENTS, seconds=SECONDS, ok=204)
        return Sample(load.rate, load.cpu)

    async def bare_put() -> Sample:
        return await store.put(picture, clients=PICTURE_CLIENTS, seconds=SECONDS)

    async def get() -> Sample:
        # A link is good for minutes, and the rows before take longer: each sample has its own.
        links = await _links_to(subject, kept)
        return await rate(subject.gateway, always(*links), clients=PICTURE_CLIENTS)()

    async def bare_get() -> Sample:
        return await store.get(picture, clients=PICTURE_CLIENTS, seconds=SECONDS)

    link = rate(subject.gateway, always(*asks), ok=201)
    return [
        Row("upload link / a lean service's", "per s", link, rate(url, always(lean_ask), ok=201), 1.0),
        Row("1 MiB in, 8 clients / bare store", "per s", put, bare_put, 0.35),
        Row("1 MiB in by tus, 8 clients / by a plain PUT", "per s", in_pieces, put, 0.8),
        Row("1 MiB out, 8 clients / bare store", "per s", get, bare_get, 0.35),
    ]


def _uploads(asks: list[bytes], picture: bytes) -> Step:
    turns: Iterator[bytes] = cycle(asks)

    async def step(connection: Connection) -> Answer:
        answer = await connection.send(next(turns))
        expect(answer, 201)
        return await connection.send(upload(str(answer.document["upload_url"]), picture))

    return step


def _resumable_uploads(people: list[Person], picture: bytes) -> Step:
    said = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(picture))}
    begins = [request("POST", f"{API}/photos/uploads", {**one.headers, **said}, body=b"") for one in people]
    turns: Iterator[bytes] = cycle(begins)

    async def step(connection: Connection) -> Answer:
        begun = await connection.send(next(turns))
        expect(begun, 201)
        piece = request(
            "PATCH",
            target(str(begun.document["upload_url"])),
            {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"},
            body=picture,
            content_type="application/offset+octet-stream",
        )
        return await connection.send(piece)

    return step


async def _kept_pictures(subject: Subject, people: list[Person], picture: bytes) -> list[bytes]:
    """Upload one picture for each and return the requests that show them."""
    shown = []
    async with Connection(subject.gateway) as connection:
        for person in people:
            photo = await take_picture(connection, person, picture)
            shown.append(request("GET", f"{API}/photos/{photo['id']}", person.headers))
    return shown


async def _links_to(subject: Subject, kept: list[bytes]) -> list[bytes]:
    """Return the requests that read the pictures which these requests show."""
    reads = []
    async with Connection(subject.gateway) as connection:
        for show in kept:
            shown = await connection.send(show)
            expect(shown, 200)
            reads.append(request("GET", target(str(shown.document["original_url"]))))
    return reads


async def _lean(subject: Subject, stack: AsyncExitStack, secret: str = "") -> str:
    port = processes.free_port()
    access, key = subject.platform.servers.s3_admin
    variables = {
        "BENCHMARK_DSN": subject.dsn,
        "BENCHMARK_SECRET": secret,
        "BENCHMARK_S3": subject.platform.servers.s3_endpoint,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": key,
    }
    command = processes.uvicorn("benchmarks.references.lean:app", port)
    return await stack.enter_async_context(processes.running(command, variables, port=port, path="/hello"))


async def _lean_with_consent(subject: Subject, stack: AsyncExitStack) -> tuple[str, str]:
    secret, owner = secrets.token_hex(32), uuid4()
    connection = await subject.connect()
    await connection.execute(lean.SCHEMA)
    await connection.execute("INSERT INTO lean.consents VALUES ($1, true)", owner)
    await connection.close()
    return await _lean(subject, stack, secret), jwt.encode({"sub": str(owner)}, secret)


async def _database(subject: Subject, name: str) -> str:
    connection = await subject.connect()
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{subject.platform.servers.postgres_dsn.rpartition('/')[0]}/{name}"
