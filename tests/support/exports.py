"""Exports in tests: who puts them together, for a contributor alone, and what a section has to be."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from aiohttp import web
from jsonschema import Draft202012Validator, FormatChecker

from chassis.clock import Clock
from chassis.consumer import Inbound, Outcome
from chassis.http import ServiceClient
from chassis.service import Service
from contracts.envelope import wrap
from contracts.storage import ExportRequested


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


async def ask_for_section(
    service: Service[Any, Any], opened: Any, clock: Clock, *, user_id: UUID, export_id: UUID, event_id: UUID
) -> Outcome:
    """Ask a service for a person's section as the broker would."""
    queue = f"{service.name}.contribute-export"
    (consumer,) = [it for it in service.create_worker(opened).work.consumers if it.queue == queue]
    asked = ExportRequested(user_id=user_id, export_id=export_id, expires_at=clock.now() + timedelta(days=30))
    body = wrap(asked, event_id=event_id, time=clock.now()).to_json()
    return await Inbound(opened.database, consumer).process(body)


async def contributions(opened: Any) -> list[dict[str, Any]]:
    """Return the announcements of sections in a service's outbox."""
    outbox = opened.database.tables.outbox
    async with opened.database.engine.connect() as connection:
        rows = await connection.execute(outbox.select().where(outbox.c.type.like("%.export.contributed.v1")))
        return [dict(row._mapping) for row in rows]


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
