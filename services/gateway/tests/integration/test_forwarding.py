"""What crosses the gateway, and what doesn't."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from chassis.service_auth import ServiceTokens

OPEN = "/api/v1/privacy/jurisdiction"


async def test_answer_of_a_service_reaches_the_caller_as_it_is(stage: Any) -> None:
    stage.consent.answers("GET", OPEN, {"jurisdiction": "gdpr"}, 203, ETag='"1"', Server="secret/1.0")
    target = URL(f"http://127.0.0.1:{stage.port}{OPEN}?country_code=DE&x=%2F&y=%C3%A9", encoded=True)
    async with stage.client.get(target) as answer:
        assert answer.status == 203
        assert await answer.json() == {"jurisdiction": "gdpr"}
        assert answer.headers["ETag"] == '"1"'
        assert "Server" not in answer.headers
        assert len(answer.headers.getall("Date")) == 1
    assert stage.consent.asked[0].raw_path == f"{OPEN}?country_code=DE&x=%2F&y=%C3%A9"


async def test_bearer_route_reaches_its_service_with_the_callers_token(stage: Any) -> None:
    headers = stage.mint.bearer()
    async with stage.client.get("/api/v1/photos?page=2", headers=headers) as answer:
        assert await answer.json() == {"upstream": "storage", "path": "/api/v1/photos?page=2"}
    assert stage.storage.asked[0].headers["Authorization"] == headers["Authorization"]


async def test_repeated_headers_and_compressed_bodies_pass_unchanged(stage: Any) -> None:
    async def handler(_request: web.Request) -> web.Response:
        headers = CIMultiDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Encoding", "br")])
        return web.Response(body=b"not really brotli", headers=headers)

    stage.consent.on("GET", OPEN, handler)
    async with stage.client.get(OPEN) as answer:
        assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert await answer.read() == b"not really brotli"


async def test_redirects_are_passed_on_and_not_followed(stage: Any) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/elsewhere"})

    stage.consent.on("GET", OPEN, handler)
    async with stage.client.get(OPEN, allow_redirects=False) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == "http://127.0.0.1:1/elsewhere"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_end_at_once(stage: Any, status: int) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    stage.storage.on("DELETE", "/api/v1/photos/1", handler)
    for _ in range(2):
        async with stage.client.delete("/api/v1/photos/1", headers=stage.mint.bearer()) as answer:
            assert answer.status == status
            assert await answer.read() == b""


async def test_services_hear_about_the_client_only_from_the_gateway(stage: Any) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "X-Service-Token": "forged",
        "X-HTTP-Method-Override": "DELETE",
        "Host": "evil.example",
        "Connection": "X-Secret-Hop, keep-alive",
        "X-Secret-Hop": "1",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
        "Proxy-Authorization": "Basic eA==",
        "Accept-Language": "de",
        "Sec-GPC": "1",
    }
    async with stage.client.get(OPEN, headers=lies) as answer:
        assert answer.status == 200
    heard = stage.consent.asked[0].headers
    assert heard.getall("X-Forwarded-For") == ["127.0.0.1"]
    assert heard["X-Forwarded-Proto"] == "http"
    assert heard["Host"] == f"127.0.0.1:{stage.consent.port}"
    assert heard["X-Service-Token"] != "forged"
    assert (heard["Accept-Language"], heard["Sec-GPC"]) == ("de", "1")
    for name in ("X-Forwarded-Host", "Forwarded", "X-Real-IP", "X-HTTP-Method-Override", "X-Secret-Hop"):
        assert name not in heard
    for name in ("Keep-Alive", "TE", "Proxy-Authorization"):
        assert name not in heard


async def test_service_can_check_that_the_gateway_speaks(stage: Any, service_keys: Any) -> None:
    async with stage.client.get(OPEN):
        pass
    consent = ServiceTokens(
        "consent",
        private_key=service_keys["consent"].pem,
        public_keys={name: pair.jwk for name, pair in service_keys.items()},
    )
    assert consent.verify(stage.consent.asked[0].headers["X-Service-Token"]) == "gateway"


async def test_request_id_is_echoed_when_sane_and_made_when_not(stage: Any) -> None:
    async with stage.client.get(OPEN, headers={"X-Request-ID": "app-42.a_B"}) as answer:
        assert answer.headers.getall("X-Request-ID") == ["app-42.a_B"]
    assert stage.consent.asked[0].headers["X-Request-ID"] == "app-42.a_B"
    for insane in ("x" * 129, "a b", "ä", ""):
        async with stage.client.get(OPEN, headers={"X-Request-ID": insane}) as answer:
            assert answer.headers["X-Request-ID"] not in ("", insane)
            assert stage.consent.asked[-1].headers["X-Request-ID"] == answer.headers["X-Request-ID"]


async def test_trace_is_continued_or_begun(stage: Any) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with stage.client.get(OPEN, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}):
        pass
    async with stage.client.get(OPEN, headers={"traceparent": "nonsense"}):
        pass
    continued, begun = (request.headers["traceparent"].split("-") for request in stage.consent.asked)
    assert continued[1] == trace
    assert continued[2] != "00f067aa0ba902b7"
    assert len(begun[1]) == 32


async def test_every_answer_carries_the_security_headers_once(stage: Any) -> None:
    stage.consent.answers("GET", OPEN, {}, 200, **{"X-Content-Type-Options": "sniff"})
    for path in (OPEN, "/api/v1/unknown", "/health", "/api/v1/photos", "/docs"):
        async with stage.client.get(path) as answer:
            assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
            assert answer.headers.getall("Referrer-Policy") == ["no-referrer"]
            assert "frame-ancestors 'none'" in answer.headers.getone("Content-Security-Policy")
            kept = "public, max-age=60" if path == "/docs" else "no-store"
            assert answer.headers.getall("Cache-Control") == [kept]
            assert "Strict-Transport-Security" not in answer.headers


async def test_caching_that_a_service_allows_is_kept(stage: Any) -> None:
    path = "/api/v1/privacy/retention-schedule"
    stage.consent.answers("GET", path, {}, 200, **{"Cache-Control": "public, max-age=60"})
    async with stage.client.get(path) as answer:
        assert answer.headers.getall("Cache-Control") == ["public, max-age=60"]


async def test_production_asks_for_https_only(open_stage: Any) -> None:
    async with (
        open_stage(environment="production", public_url="https://api.example") as stage,
        stage.client.get("/health") as answer,
    ):
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize(
    "target",
    [
        "/internal/session-revocations?after=0",
        "/api/v1/../../internal/erasures",
        "/api/v1/photos/..%2f..%2finternal%2ferasures",
        "/api/v1/photos/%2e%2e/x",
        "/api/v1/photos/../photos",
        "//internal/erasures",
        "/api/v1//photos",
        "/openapi.json/x",
        "/metrics",
        "/@127.0.0.1:1/",
        "http://127.0.0.1:1/internal/erasures",
        "/api/v1/users/me;x=1",
        "/api/v1/users/me%00",
        "/API/V1/users/me",
    ],
)
async def test_what_is_not_in_the_table_is_not_found(stage: Any, target: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: a/?x=\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 404"), answer
    assert "application/problem+json" in answer
    assert all(not request.path.startswith("/api") for request in stage.identity.asked)
    assert not stage.consent.asked + stage.storage.asked


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/auth/login", {"POST"}),
        ("POST", "/api/v1/users/me", {"GET", "DELETE"}),
        ("TRACE", "/api/v1/photos/019ab0c4-1000-7001-8001-0000316edc57", {"GET", "DELETE"}),
        ("OPTIONS", "/api/v1/photos", {"GET"}),
        ("POST", "/health", {"GET"}),
        ("DELETE", "/docs", {"GET"}),
    ],
)
async def test_wrong_method_names_the_right_ones(
    stage: Any, method: str, path: str, allowed: set[str]
) -> None:
    async with stage.client.request(method, path) as answer:
        assert answer.status == 405
        assert {name.strip() for name in answer.headers["Allow"].split(",")} >= allowed
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["type"] == "urn:irisvue:problem:method-not-allowed"


async def test_service_that_speaks_no_http_is_a_502(stage: Any, open_stage: Any) -> None:
    async def gibberish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_stage(consent_url=f"http://127.0.0.1:{port}") as other, other.client.get(OPEN) as answer:
        assert answer.status == 502
        assert (await answer.json())["type"] == "urn:irisvue:problem:bad-gateway"
    server.close()
    await server.wait_closed()


async def test_concurrent_requests_get_their_own_answers(stage: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.001 * (int(request.query["n"]) % 7))
        return web.json_response({"n": request.query["n"]})

    stage.consent.on("GET", OPEN, handler)

    # Client, gateway and service share one loop here: more at once would outlast the time to connect.
    at_once = asyncio.Semaphore(40)

    async def ask(number: int) -> None:
        async with at_once, stage.client.get(OPEN, params={"n": str(number)}) as answer:
            assert await answer.json() == {"n": str(number)}

    await asyncio.gather(*(ask(number) for number in range(200)))


async def test_too_many_requests_at_once_are_turned_away(open_stage: Any) -> None:
    release = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with open_stage(most_requests_at_once=1) as stage:
        stage.consent.on("GET", OPEN, handler)
        first = asyncio.create_task(stage.client.get(OPEN))
        while not stage.consent.asked:  # noqa: ASYNC110 - the neighbour is in this loop
            await asyncio.sleep(0.01)
        async with stage.client.get(OPEN) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "2"
        release.set()
        answered: aiohttp.ClientResponse = await first
        assert answered.status == 200
        answered.release()
