"""The API in a real Chromium: a page of another origin uses it, and the documentation shows itself."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from support import eventually
from support.browser import Browser, browser

PAGE = Path(__file__).parent / "page.html"
PASSWORD = "seven blue irises"


@pytest.fixture
async def window() -> AsyncIterator[Browser]:
    async with browser() as opened:
        yield opened


@asynccontextmanager
async def page_at(port: int) -> AsyncIterator[str]:
    """Serve the page of another origin; return where."""

    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=PAGE.read_text(), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_page_of_another_origin_uses_the_api_from_sign_up_to_the_picture(stage, window, jpeg) -> None:
    allowed = urlsplit(stage.values["CORS_ORIGINS"])
    email = f"{secrets.token_hex(6)}@example.com"
    async with page_at(allowed.port) as origin:
        assert origin == stage.values["CORS_ORIGINS"]
        await window.open(origin)
        picture = base64.b64encode(jpeg).decode()

        told = await window.run("return tell(...arguments)", f"{stage.url}/api/v1", email, PASSWORD, picture)

    statuses = {name: step["status"] for name, step in told.items() if step and "status" in step}
    assert statuses == {
        "register": 201,
        "login": 200,
        "consent": 201,
        "link": 201,
        "put": 200,
        "confirm": 200,
        "list": 200,
        "limited": 429,
    }
    assert all(told[name]["requestId"] for name in statuses)
    assert int(told["limited"]["retryAfter"]) > 0
    shown = told["list"]["body"]["items"][0]
    assert told["picture"] == {"width": shown["width"], "height": shown["height"]}
    assert shown["width"] > 0
    # The console names the 429 that was asked for, and nothing else.
    assert [text for text in await window.complaints() if " 429 " not in text] == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("POST", "/auth/register")])
async def test_page_of_an_origin_that_is_not_named_gets_nothing(
    stage, window, method: str, path: str
) -> None:
    async with page_at(0) as origin:
        await window.open(origin)

        assert await window.run("return isKeptOut(...arguments)", f"{stage.url}/api/v1", method, path)

    assert any("blocked by CORS policy" in text for text in await window.complaints())


@pytest.mark.parametrize(
    ("page", "document", "shown"),
    [("/docs", "/openapi.json", ".opblock"), ("/asyncapi", "/asyncapi.json", "h2")],
)
async def test_documentation_shows_every_operation_under_its_policy(
    stage, window, page: str, document: str, shown: str
) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as http, http.get(stage.url + document) as answer:
        described = await answer.json()
    if page == "/docs":
        expected = sum(len(item) for item in described["paths"].values())
    else:
        expected = len(described["components"]["messages"])
    await window.open(stage.url + page)

    async def everything_is_shown() -> None:
        count = await window.run(f"return document.querySelectorAll({shown!r}).length")
        assert count == expected

    await eventually(everything_is_shown, seconds=30)
    assert await window.complaints() == []
