"""Exports in tests: who puts them together, for a contributor alone, and what a section has to be."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator, FormatChecker

from chassis.http import ServiceClient


class Assembler:
    """Takes sections as storage does: an address first, then the bytes."""

    def __init__(self) -> None:
        self.sections: dict[str, bytes] = {}
        self.over = False
        self.down = False

    async def link(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=503)
        if self.over:
            return web.Response(status=410)
        export_id = request.match_info["export_id"]
        return web.json_response({"path": f"/internal/exports/{export_id}/sections/it?signature=yes"})

    async def take(self, request: web.Request) -> web.Response:
        self.sections[request.match_info["export_id"]] = await request.read()
        return web.Response(status=204)


@asynccontextmanager
async def assembling(client: ServiceClient) -> AsyncIterator[Assembler]:
    """Let `client`, which asks storage, reach an assembler of the test's own."""
    assembler, app = Assembler(), web.Application(client_max_size=1 << 30)
    app.router.add_get("/internal/exports/{export_id}/link", assembler.link)
    app.router.add_put("/internal/exports/{export_id}/sections/it", assembler.take)
    runner, before = web.AppRunner(app), client._base_url
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client._base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield assembler
    finally:
        client._base_url = before
        await runner.cleanup()


def read_section(section: bytes) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a section by kind; AssertionError when it is not what its schema says.

    The schema names every column that is in the export, and allows no other.
    """
    head, _, body = section.partition(b"\n")
    schema, document = json.loads(head), json.loads(body)
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    broken = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    assert not broken, broken
    return {holding["kind"]: holding["records"] for holding in document["holdings"]}
