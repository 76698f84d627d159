"""The outermost layer of every API: ids, limits, logs, and answers that break halfway."""

import asyncio
import json
import re
from uuid import UUID

import aiohttp
import pytest
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from chassis import context
from chassis.edge import MAX_BODY_BYTES
from chassis.server import serve
from chassis.service_auth import GATEWAY_TOKEN_HEADER, ServiceTokens
from support import eventually
from support.gateway import gateway_proof

CANARY = "canary"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def unlimited_paths():
    return ["^/uploads"]


@pytest.fixture
def routes():
    router = APIRouter()

    @router.post("/bytes")
    @router.post("/uploads")
    async def count(request: Request) -> int:
        return len(await request.body())

    @router.post("/stream")
    async def stream(request: Request) -> int:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
        return received

    @router.post("/json")
    async def document(body: dict[str, str]) -> int:
        return len(body)

    @router.get("/people/{name}")
    async def person(name: str) -> dict[str, str | None]:
        return {"request": context.request_id.get(), "trace": context.traceparent.get()}

    @router.get("/half")
    async def half() -> StreamingResponse:
        async def pieces():
            yield b"half of an answer"
            raise RuntimeError(CANARY)

        return StreamingResponse(pieces())

    return [router]


async def test_request_keeps_a_sane_id_and_gets_one_otherwise(client):
    kept = await client.get("/people/ada", headers={"X-Request-ID": "abc-123._Z"})
    assert kept.headers["x-request-id"] == kept.json()["request"] == "abc-123._Z"
    made = await client.get("/people/ada")
    assert made.headers["x-request-id"] == made.json()["request"]
    assert UUID(made.headers["x-request-id"]).version == 7


@pytest.mark.parametrize(
    "insane", ["", "a b", "x" * 129, '"><script>', "id;drop", "ümlaut".encode(), "%0d%0a"]
)
async def test_insane_request_id_is_replaced(insane, client):
    answer = await client.get("/people/ada", headers={"X-Request-ID": insane})
    assert UUID(answer.headers["x-request-id"]).version == 7


async def test_trace_is_continued_with_a_span_of_our_own(client):
    trace = (await client.get("/people/ada", headers={"traceparent": TRACE})).json()["trace"]
    assert trace != TRACE
    assert trace.split("-")[1] == TRACE.split("-")[1]
    assert trace.split("-")[3] == TRACE.split("-")[3]


BROKEN_TRACES = [
    "",
    "rubbish",
    TRACE.upper(),
    TRACE + "-",
    "ff" + TRACE[2:],
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
]


@pytest.mark.parametrize("broken", BROKEN_TRACES)
async def test_broken_trace_is_replaced(broken, client):
    trace = (await client.get("/people/ada", headers={"traceparent": broken})).json()["trace"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)
    assert TRACE.split("-")[1] not in trace


async def chunks(size):
    for _ in range(size // 50_000):
        yield b"x" * 50_000
    yield b"x" * (size % 50_000)


@pytest.mark.parametrize("path", ["/bytes", "/stream"])
async def test_body_up_to_the_limit_arrives_whole(path, client):
    assert (await client.post(path, content=b"x" * MAX_BODY_BYTES)).json() == MAX_BODY_BYTES
    assert (await client.post(path, content=chunks(MAX_BODY_BYTES))).json() == MAX_BODY_BYTES


def at_once(size):
    return b"x" * size


@pytest.mark.parametrize(
    ("path", "make"),
    [
        *((path, at_once) for path in ("/bytes", "/stream", "/json", "/nowhere")),
        *((path, chunks) for path in ("/bytes", "/stream", "/json")),
    ],
)
async def test_body_over_the_limit_is_a_problem(path, make, client):
    answer = await client.post(path, content=make(MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:irisvue:problem:content-too-large"
    assert answer.json()["limit"] == MAX_BODY_BYTES
    assert answer.headers["x-request-id"]


async def test_declared_length_is_refused_before_a_byte_is_read(app):
    async def never():
        raise AssertionError("the body was read")

    for declared in (str(MAX_BODY_BYTES + 1), "9" * 4000, "-1", "1e9", "abc", "٣"):
        sent = await call(app, "/bytes", never, [(b"content-length", declared.encode())])
        assert sent[0]["status"] == 413, declared


async def call(app, path, receive, headers=()):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": list(headers),
        "server": ("service", 80),
        "client": ("10.0.0.1", 1),
    }
    await app(scope, receive, send)
    return sent


async def test_path_that_limits_itself_takes_more(client):
    size = MAX_BODY_BYTES + 1
    assert (await client.post("/uploads", content=b"x" * size)).json() == size
    assert (await client.post("/uploads", content=chunks(size))).json() == size


async def test_log_names_the_route_and_neither_address_nor_query(client, logged):
    await client.get(
        f"/people/{CANARY}?token={CANARY}", headers={"X-Request-ID": "abc", "traceparent": TRACE}
    )
    await client.get(f"/{CANARY}")
    found, lost = [line for line in logged() if line["event"] == "request"]
    assert (found["route"], found["status"], found["method"]) == ("/people/{name}", 200, "GET")
    assert found["request_id"] == "abc"
    assert found["trace_id"] == TRACE.split("-")[1]
    assert (lost["route"], lost["status"]) == ("unmatched", 404)
    assert CANARY not in json.dumps(logged())


async def test_health_questions_are_not_logged(client, logged):
    await client.get("/health/liveness")
    assert logged() == []


@pytest.fixture
async def over_the_network(app, settings, key):
    """The application behind a real server, as its process runs it."""
    server = serve(app, host="127.0.0.1", port=0)
    serving = asyncio.create_task(server.serve())

    async def listening():
        assert server.started

    await eventually(listening)
    app.state.service_tokens = ServiceTokens.of("service", settings)
    proof = {GATEWAY_TOKEN_HEADER: gateway_proof(key.pem, "service")()}
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession(url, headers=proof) as session:
        yield session
    await server.finish()
    await serving


async def test_answer_that_breaks_halfway_ends_the_connection_and_quotes_nothing(over_the_network, logged):
    async with over_the_network.get("/half") as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()

    async def noticed():
        assert "library_error" in {line["event"] for line in logged()}

    await eventually(noticed)
    assert CANARY not in json.dumps(logged())


async def test_server_does_not_say_what_it_is(over_the_network):
    async with over_the_network.get("/people/ada") as answer:
        assert "server" not in answer.headers
        assert "date" in answer.headers


async def test_client_that_hangs_up_is_no_error_of_ours(app, logged):
    async def hang_up():
        return {"type": "http.disconnect"}

    for path in ("/bytes", "/stream", "/json"):
        await call(app, path, hang_up, [(b"content-type", b"application/json")])
    assert "error" not in {line["level"] for line in logged()}
