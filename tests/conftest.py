"""The cluster of the end-to-end tests, with hands on its parts, and people who use it."""

import asyncio
import io
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from PIL import Image

from cluster.environment import ADMIN, DATABASE
from demo import picture
from demo.client import App, open_http
from support import eventually
from support.servers import SeparateCluster

PASSWORD = "seven blue irises"


@dataclass(frozen=True)
class Stage:
    """The running cluster and what only its operator may do."""

    cluster: SeparateCluster

    @property
    def values(self) -> Mapping[str, str]:
        return self.cluster.values

    @property
    def url(self) -> str:
        return self.values["PUBLIC_URL"]

    @contextmanager
    def without(self, program: str) -> Iterator[None]:
        """Stop one program for the length of the block."""
        self.cluster.stop(program)
        try:
            yield
        finally:
            self.cluster.start(program)

    @asynccontextmanager
    async def database(self, name: str = DATABASE) -> AsyncIterator[asyncpg.Connection]:
        """The operator's look into a database."""
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=int(self.values["POSTGRES_PORT"]),
            user=ADMIN,
            password=self.values["POSTGRES_ADMIN_PASSWORD"],
            database=name,
            timeout=10,
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def count(self, query: str, *arguments: Any, database: str = DATABASE) -> int:
        """Return the number that a query counts."""
        async with self.database(database) as connection:
            return int(await connection.fetchval(query, *arguments))

    async def execute(self, script: str) -> None:
        """Run statements as the operator."""
        async with self.database() as connection:
            await connection.execute(script)

    def run(
        self, *command: str, seconds: int = 120, typed: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the project as its users would, against this cluster."""
        return subprocess.run(
            command,
            cwd=self.cluster.layout.home,
            env=os.environ | variables,
            input=typed,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def run_module(self, module: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m module` for this cluster's directory."""
        return self.run(sys.executable, "-m", module, "--directory", str(self.cluster.layout.home))


@dataclass
class Person:
    """Somebody with an account, and with the app in their hand."""

    app: App
    id: str
    email: str
    password: str = PASSWORD
    consent_id: str = ""

    async def agree(self) -> str:
        """Agree to pictures as in Germany; return the consent's id."""
        laws = (await self.app.jurisdiction(country_code="DE")).document
        consent = await self.app.grant("gdpr", laws["consent_text_version"])
        assert consent.status == 201, consent.body
        self.consent_id = consent.document["id"]
        return self.consent_id

    async def take_picture(self, jpeg: bytes) -> dict[str, Any]:
        """Upload and confirm a picture; return what the API shows of it."""
        link = await self.app.ask_to_upload()
        assert link.status == 201, link.body
        photo_id = link.document["photo_id"]
        put = await self.app.put(link.document["upload_url"], jpeg)
        assert put.status == 200, put.body
        photo = await self.app.confirm(photo_id, file_size=len(jpeg), width=1, height=1)
        assert photo.status == 200, photo.body
        return photo.document

    async def ask_to_be_erased(self) -> dict[str, Any]:
        """Delete the account; return the receipt."""
        receipt = await self.app.delete_account()
        assert receipt.status == 200, receipt.body
        return receipt.document


async def erased(app: App, receipt: Mapping[str, Any], *, seconds: float = 30) -> dict[str, Any]:
    """Wait for the end of an erasure; return its status."""

    async def completed() -> dict[str, Any]:
        answer = await app.erasure(receipt["erasure_id"], receipt["status_token"])
        assert answer.status == 200
        assert answer.document["status"] == "completed"
        return answer.document

    return await eventually(completed, seconds=seconds)


@pytest.fixture(scope="session")
def stage(cluster: SeparateCluster) -> Stage:
    """Return the cluster of this test run."""
    return Stage(cluster)


@pytest.fixture
async def new_app(stage: Stage) -> AsyncIterator[Callable[[], App]]:
    """Make apps that nobody is signed in to."""
    async with open_http() as http:
        yield lambda: App(http, stage.url)


@pytest.fixture
def new_account(new_app: Callable[[], App]) -> Callable[[], Awaitable[Person]]:
    """Sign somebody up who is not signed in."""

    async def make() -> Person:
        app, email = new_app(), f"{secrets.token_hex(6)}@example.com"
        user = await app.register(email, PASSWORD)
        assert user.status == 201, user.body
        return Person(app, user.document["id"], email)

    return make


@pytest.fixture
def new_person(new_account: Callable[[], Awaitable[Person]]) -> Callable[[], Awaitable[Person]]:
    """Sign somebody up and in."""

    async def make() -> Person:
        made = await new_account()
        assert (await made.app.login(made.email, PASSWORD)).status == 200
        return made

    return make


@pytest.fixture
async def person(new_person: Callable[[], Awaitable[Person]]) -> Person:
    """Return somebody who is signed in."""
    return await new_person()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """Return a picture as a phone takes it."""
    return picture.draw()


@pytest.fixture(scope="session")
def small_jpeg() -> bytes:
    """Return a picture that costs little to decode, for many people."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 120, 160)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def until_erased() -> Callable[..., Awaitable[dict[str, Any]]]:
    """Return the function that waits for the end of an erasure."""
    return erased


@pytest.fixture
def many() -> Callable[..., Awaitable[list[Any]]]:
    """Do the same for many, several at a time, and return what came out."""

    async def together(work: Callable[[Any], Awaitable[Any]], items: Any, *, at_once: int = 4) -> list[Any]:
        places = asyncio.Semaphore(at_once)

        async def one(item: Any) -> Any:
            async with places:
                return await work(item)

        return list(await asyncio.gather(*(one(item) for item in items)))

    return together
