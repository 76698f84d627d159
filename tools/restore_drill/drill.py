"""The drill: back up, erase somebody, restore the old backup, and look for them everywhere."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import aiohttp

from cluster.archives import backups_in
from cluster.backups import BackupSettings
from cluster.environment import KEYRING_DATABASE
from cluster.errors import ClusterError
from cluster.members import DATABASE_SERVICES
from demo import picture
from demo.client import App, open_http
from residue import Canaries, search
from residue.database import open_database, search_databases
from support.eventually import eventually
from support.people import PASSWORD
from support.separate import SeparateCluster

ERASED_SECONDS = 60
READY_SECONDS = 60
CLOSED = "Closed until erasures are replayed"
KEYS = "SELECT count(*) FROM keyring.keys"


@dataclass(frozen=True)
class Row:
    """One finding: what was wanted, what was seen, and whether that is the same."""

    step: str
    wanted: str
    seen: str

    @property
    def holds(self) -> bool:
        """Whether it went as it should."""
        return self.wanted == self.seen

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row of the table."""
        return (self.step, self.wanted, self.seen, "" if self.holds else "FAILED")


@dataclass
class Person:
    """Somebody who has signed up, agreed and sent a picture."""

    app: App
    email: str
    user_id: str
    consent_id: str
    photo: Mapping[str, Any]

    @property
    def canaries(self) -> Canaries:
        """What leads to them."""
        return Canaries.of(
            ids=[self.user_id, self.consent_id],
            words=[self.email],
            object_keys=[self.photo["s3_key"]],
            photos=[self.photo["id"]],
        )


class Drill:
    """One drill on a running cluster whose backups the key opens."""

    def __init__(self, cluster: SeparateCluster, key: Path) -> None:
        self._cluster = cluster
        self._key = key
        self._rows: list[Row] = []

    async def play(self) -> list[Row]:
        """Play it and return every finding; raises what makes going on pointless."""
        async with open_http() as http:
            erased, living = await self._person(http), await self._person(http)
            backup = self._backed_up()
            await self._erase(erased)
            await self._refuses_a_changed_archive(backup)
            self._command("restore", str(backup), "--key", str(self._key))
            await self._came_back(erased)
            await self._is_closed()
            began = time.monotonic()
            self._command("up", "--mode", self._cluster.mode)
            self._note(
                "all are ready again, within 60 s", wanted=True, seen=time.monotonic() - began < READY_SECONDS
            )
            await self._is_gone(http, erased)
            await self._is_well(living)
        return self._rows

    def _note(self, step: str, *, wanted: object, seen: object) -> None:
        self._rows.append(Row(step, str(wanted), str(seen)))

    async def _person(self, http: aiohttp.ClientSession) -> Person:
        app, email = App(http, self._cluster.url), f"drill-{token_hex(6)}@example.com"
        user = (await app.register(email, PASSWORD)).document
        await app.login(email, PASSWORD)
        law = (await app.jurisdiction(country_code="DE")).document
        consent = (await app.grant(law["jurisdiction"], law["consent_text_version"])).document
        jpeg = picture.draw(seed=1)
        facts = picture.read(jpeg)
        link = (await app.ask_to_upload(picture.CONTENT_TYPE)).document
        await app.put(link["upload_url"], jpeg, picture.CONTENT_TYPE)
        photo = await app.confirm(
            link["photo_id"], file_size=facts.size, width=facts.width, height=facts.height
        )
        return Person(app, email, user["id"], consent["id"], photo.document)

    def _backed_up(self) -> Path:
        self._command("backup")
        made = BackupSettings.of(self._cluster.layout, self._cluster.values).directory
        *_, (place, _) = backups_in(made)
        return place

    async def _erase(self, person: Person) -> None:
        receipt = (await person.app.delete_account()).document

        async def completed() -> None:
            status = await person.app.erasure(receipt["erasure_id"], receipt["status_token"])
            assert status.document["status"] == "completed", status.document  # noqa: S101

        await eventually(completed, seconds=ERASED_SECONDS)
        left = await self._until_nothing_is_left_of(person)
        self._note("traces left before the restore", wanted=0, seen=left)

    async def _refuses_a_changed_archive(self, backup: Path) -> None:
        archive = backup / "identity.dump.age"
        whole = archive.read_bytes()
        archive.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        try:
            self._command("restore", str(backup), "--key", str(self._key))
            seen = "taken"
        except ClusterError:
            seen = "refused"
        archive.write_bytes(whole)
        self._note("an archive with one changed byte", wanted="refused", seen=seen)

    async def _came_back(self, person: Person) -> None:
        found = await search_databases(self._cluster.values, person.canaries)
        back = sum(place.found for place in found)
        self._note("the restored rows know them again", wanted=True, seen=back > 0)
        self._note("data keys in the restored keyring", wanted=2, seen=await self._data_keys())

    async def _is_closed(self) -> None:
        """Start the APIs without the workers, which would replay the journal."""
        for service in DATABASE_SERVICES:
            self._cluster.start(f"{service}-api")
        for service in DATABASE_SERVICES:

            async def answers(service: str = service) -> str:
                return await asyncio.to_thread(self._cluster.ask_ready, service)

            seen = await eventually(answers, seconds=30)
            self._note(f"{service} before the replay", wanted=f"503 {CLOSED}", seen=seen)

    async def _is_gone(self, http: aiohttp.ClientSession, person: Person) -> None:
        stranger = App(http, self._cluster.url)
        self._note("their password", wanted=401, seen=(await stranger.login(person.email, PASSWORD)).status)
        self._note("their token", wanted=401, seen=(await person.app.me()).status)
        link = await person.app.follow("GET", person.photo["original_url"])
        self._note(
            "the link to their picture is refused", wanted=True, seen=link.status in {401, 403, 404, 410}
        )

        left = await self._until_nothing_is_left_of(person)
        self._note("traces in rows, objects, keys and messages", wanted=0, seen=left)
        self._note("data keys in the keyring", wanted=1, seen=await self._data_keys())

    async def _is_well(self, person: Person) -> None:
        self._note(
            "somebody else signs in", wanted=200, seen=(await person.app.login(person.email, PASSWORD)).status
        )
        photo = (await person.app.photo(person.photo["id"])).document
        served = await person.app.follow("GET", photo["original_url"])
        self._note("and sees their picture", wanted=200, seen=served.status)

    async def _traces_of(self, person: Person) -> int:
        places = await search(self._cluster.values, person.canaries)
        return sum(place.found for place in places)

    async def _until_nothing_is_left_of(self, person: Person) -> int:
        """Return how many traces are left when the last announcements are out."""

        async def none() -> None:
            assert await self._traces_of(person) == 0  # noqa: S101

        try:
            await eventually(none, seconds=ERASED_SECONDS)
        except AssertionError:
            return await self._traces_of(person)
        return 0

    async def _data_keys(self) -> int:
        connection = await open_database(self._cluster.values, KEYRING_DATABASE)
        try:
            return int(await connection.fetchval(KEYS))
        finally:
            await connection.close()

    def _command(self, *arguments: str) -> None:
        """Run one command of the cluster; raises ClusterError with what it said."""
        command = [sys.executable, "-m", "cluster", "--directory", str(self._cluster.layout.home)]
        done = subprocess.run(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        print(done.stdout, end="")
        if done.returncode != 0:
            raise ClusterError(f"`cluster {' '.join(arguments)}` failed:\n{done.stdout}")
