"""Exports with contributors that write what the test says, as the services do: over HTTP and the bus."""

import json
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient

from chassis.service_auth import ServiceTokens
from contracts.participation import ExportContributed
from contracts.topology import export_contributors
from storage.main import archive_builder

PATH = "/api/v1/privacy/data-export"


class Contributor:
    """A service that holds one record of everybody."""

    def __init__(self, name: str, client: AsyncClient, tokens: ServiceTokens) -> None:
        self.name = name
        self._client = client
        self._tokens = tokens

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens.issue('storage')}"}

    def section(self, words: str = "hello") -> bytes:
        schema = {"$id": f"urn:irisvue:schema:export:{self.name}", "type": "object"}
        return json.dumps(schema).encode() + b"\n" + json.dumps({"words": words}).encode()

    async def link(self, export_id: str) -> Any:
        return await self._client.get(f"/internal/exports/{export_id}/link", headers=self.headers)

    async def put(self, path: str, body: bytes | None = None) -> Any:
        content = self.section() if body is None else body
        return await self._client.put(path, content=content, headers=self.headers)

    async def write(self, export_id: str, body: bytes | None = None) -> None:
        link = await self.link(export_id)
        assert link.status_code == 200, link.text
        assert (await self.put(link.json()["path"], body)).status_code == 204

    def report(self, export_id: str) -> ExportContributed:
        return ExportContributed.by(self.name).of(UUID(export_id), records={"entries": 1})


@pytest.fixture
def contributors(client, platform, settings) -> dict[str, Contributor]:
    """Everybody whose section an export waits for, by name."""
    made = {}
    for name in export_contributors():
        key = platform.servers.values[f"{name.upper()}_SERVICE_KEY"].replace("\\n", "\n")
        made[name] = Contributor(name, client, ServiceTokens(name, private_key=key, public_keys={}))
    return made


@pytest.fixture
def contribute(contributors, deliver):
    """Let everybody write and report, but those who are left out."""

    async def _contribute(export_id: str, *, without: tuple[str, ...] = ()) -> None:
        for name, contributor in contributors.items():
            if name not in without:
                await contributor.write(export_id)
                await deliver(contributor.report(export_id))

    return _contribute


@pytest.fixture
def builder(service):
    return archive_builder(service)


class Exporter:
    """Somebody who asks for a copy of their data."""

    def __init__(self, person: Any) -> None:
        self.person = person
        self._client, self._headers = person._client, person._headers

    async def call(self, method: str, path: str = "") -> Any:
        return await self._client.request(method, f"{PATH}{path}", headers=self._headers)

    async def ask(self) -> str:
        answer = await self.call("POST")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["export_id"])

    async def status(self) -> dict[str, Any]:
        answer = await self.call("GET", "/status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def fetch(self, url: str) -> Any:
        return await self._client.get(url)


@pytest.fixture
def exporter(ada) -> Exporter:
    return Exporter(ada)


@pytest.fixture
def make_ready(exporter, contribute, builder):
    """Bring an export to where it can be fetched; return its link."""

    async def _make_ready() -> str:
        await contribute(await exporter.ask())
        assert await builder.work_once() == 1
        status = await exporter.status()
        assert status["status"] == "ready", status
        return str(status["export_url"])

    return _make_ready
