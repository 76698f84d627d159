"""Questions to another service: what becomes of each kind of answer."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from chassis import context, http
from chassis.faults import is_transient
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.reconcile import OpenErasures
from chassis.service_auth import ServiceTokens


class Neighbour:
    """Another service, whose answer the test decides."""

    def __init__(self):
        self.asked = []
        self.answer = lambda _request: web.json_response({"hello": "world"})
        self.url = ""

    async def handle(self, request):
        self.asked.append(request)
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
async def neighbour():
    neighbour = Neighbour()
    application = web.Application()
    application.router.add_get("/{path:.*}", neighbour.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    neighbour.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield neighbour
    await runner.cleanup()


@pytest.fixture
def tokens(key):
    return ServiceTokens("storage", private_key=key.pem, public_keys={"storage": key.jwk})


@pytest.fixture
async def client(neighbour, tokens):
    async with ServiceClient(neighbour.url, audience="identity", tokens=tokens) as client:
        yield client


async def test_question_carries_a_token_for_its_audience_and_the_trace(client, neighbour, key):
    trace = context.continued_trace(None)
    request, traced = context.request_id.set("abc"), context.traceparent.set(trace)
    assert await client.get("/things", params={"after": "7"}) == {"hello": "world"}
    context.request_id.reset(request)
    context.traceparent.reset(traced)

    (asked,) = neighbour.asked
    assert asked.query["after"] == "7"
    assert asked.headers["X-Request-ID"] == "abc"
    assert asked.headers["traceparent"] == trace
    identity = ServiceTokens("identity", private_key=key.pem, public_keys={"storage": {**key.jwk}})
    scheme, token = asked.headers["Authorization"].split()
    assert scheme == "Bearer"
    # The key's name is the service's, so the verifier looks it up under that.
    assert identity.verify(token) == "storage"


UNAVAILABLE = {
    "500": lambda _: web.Response(status=500),
    "503": lambda _: web.Response(status=503),
    "429": lambda _: web.Response(status=429),
    "no JSON by its type": lambda _: web.Response(text="canary"),
    "no JSON": lambda _: web.Response(text="{canary", content_type="application/json"),
    "no text": lambda _: web.Response(body=b"\xff\xfe", content_type="application/json"),
    "a list": lambda _: web.json_response(["canary"]),
}


@pytest.mark.parametrize("answer", UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_answer_that_helps_nobody_is_a_fault_that_passes(answer, client, neighbour):
    neighbour.answer = answer
    with pytest.raises(NeighbourUnavailable) as unavailable:
        await client.get("/things")
    assert is_transient(unavailable.value)
    assert "canary" not in str(unavailable.value)


@pytest.mark.parametrize("status", [201, 204, 301, 401, 403, 404, 422])
async def test_any_other_status_is_a_refusal(status, client, neighbour):
    neighbour.answer = lambda _: web.Response(status=status, headers={"Location": "/elsewhere"})
    with pytest.raises(NeighbourRefused) as refused:
        await client.get("/things")
    assert refused.value.status == status
    assert len(neighbour.asked) == 1


async def test_silence_ends_at_the_deadline(client, neighbour, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.2)
    neighbour.answer = lambda _: asyncio.Event().wait()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(NeighbourUnavailable):
        await client.get("/things")
    with pytest.raises(NeighbourUnavailable):
        await client.get("/things", seconds=0.1)
    assert loop.time() - begun < 2


async def test_address_where_nobody_listens_is_a_fault_that_passes(tokens):
    async with ServiceClient("http://127.0.0.1:1", audience="identity", tokens=tokens) as client:
        with pytest.raises(NeighbourUnavailable):
            await client.get("/things")


async def test_client_that_is_not_open_says_so(tokens):
    with pytest.raises(RuntimeError, match="async with"):
        await ServiceClient("http://127.0.0.1:1", audience="identity", tokens=tokens).get("/things")


async def test_list_of_open_erasures_is_read_to_its_last_page(client, neighbour):
    def erasure(number):
        return {
            "erasure_id": f"00000000-0000-7000-8000-{number:012}",
            "user_id": f"00000000-0000-7000-9000-{number:012}",
            "requested_at": "2026-11-22T10:00:00Z",
            "deadline": "2026-12-22T10:00:00Z",
        }

    def page(request):
        after = int(request.query["after"] or 0)
        following = after + 2
        return web.json_response(
            {
                "items": [erasure(number) for number in range(after, min(following, 5))],
                "next": str(following) if following < 5 else None,
            }
        )

    neighbour.answer = page
    found = await OpenErasures(client)()
    assert [erasure.erasure_id.int % 10 for erasure in found] == [0, 1, 2, 3, 4]
    assert found[0].deadline.tzinfo is not None
    assert len(neighbour.asked) == 3
    assert all(request.path == "/internal/erasures" for request in neighbour.asked)


async def test_cookies_of_an_answer_are_not_kept(client, neighbour):
    def with_cookie(_request):
        answer = web.json_response({})
        answer.set_cookie("session", "1")
        return answer

    neighbour.answer = with_cookie
    await client.get("/things")
    await client.get("/things")
    assert "Cookie" not in neighbour.asked[1].headers


async def test_nothing_of_aiohttp_escapes_when_the_answer_breaks_off(client, neighbour):
    async def break_off(request):
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b'{"half": ')
        request.transport.abort()
        return answer

    neighbour.answer = break_off
    with pytest.raises(NeighbourUnavailable) as unavailable:
        await client.get("/things")
    assert not isinstance(unavailable.value, aiohttp.ClientError)
