"""One run: search for what was planted, let a person live and leave, and search for them."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster import table
from cluster.compose import ComposeCluster
from cluster.layout import Layout
from cluster.progress import Silence
from contracts.topology import SERVICES, dead_letter_queue
from demo.client import App, open_http
from native.cluster import NativeCluster
from prove_erasure.person import Broken, Person, done
from prove_erasure.plants import KINDS, Plant, put_into_queue
from residue import Canaries, Searched, search
from residue.written import mails_behind_pages, mails_in_files, search_logs, search_mailbox

ERASED_SECONDS = 120.0
LAST_WORDS_SECONDS = 15.0
"""How long the last announcements may be on their way out, and mails on theirs."""
PAUSE = 0.2
COMPLETED = "completed"
OK, NOT_FOUND = 200, 404


class Proof:
    """A proof on one running cluster; prints what it does."""

    def __init__(self, layout: Layout, values: Mapping[str, str], mode: str) -> None:
        kind = NativeCluster if mode == "native" else ComposeCluster
        self._cluster: NativeCluster | ComposeCluster = kind(layout, values, Silence())
        self._maildir = layout.var / "mail" / "Maildir" if mode == "native" else None
        self._values = values
        self._url = values["PUBLIC_URL"].rstrip("/")

    async def run(self) -> bool:
        """Return whether everything that was planted was found, and nothing of the erased person."""
        print(f"Erasure, proved on the cluster at {self._url}\n")
        blind = await self._blind_searches()
        person = Person()
        async with open_http(person.user_agent) as http:
            app = App(http, self._url)
            await person.live(app)
            before = await self._look_for(person)
            unseen = {"table", "bucket"} - {place.kind for place in before if place.found}
            if unseen:
                raise Broken(f"the search does not see who is there: nothing in any {' or '.join(unseen)}")
            for service in SERVICES:
                # What could not be handled names people by id, and must not outlive them.
                parked = dead_letter_queue(f"{service}.erase-user")
                await put_into_queue(self._values, parked, f"no event of {person.ids[0]}")
            receipt = await person.leave(app)
            began = time.monotonic()
            await self._wait_until_erased(app, receipt)
            print(f"erased after {time.monotonic() - began:.2f} s\n")
            certified = await self._certificate(app, receipt)
        places = await self._search_until_gone(person)
        self._report(places, blind, certified)
        left = [place for place in places if place.found]
        return not left and not blind

    async def _look_for(self, person: Person) -> list[Searched]:
        return await self._search(person.canaries, recipients=(person.email, person.new_email))

    async def _search(self, canaries: Canaries, *, recipients: Iterable[str] = ()) -> list[Searched]:
        mails = (
            mails_in_files(self._maildir)
            if self._maildir
            else mails_behind_pages(self._values["MAIL_UI_PORT"])
        )
        return [
            *await search(self._values, canaries),
            *search_logs(self._cluster.whole_logs(), canaries),
            await search_mailbox(mails, canaries, recipients=recipients),
        ]

    async def _blind_searches(self) -> set[str]:
        """Return the kinds of stores in which a planted canary was not found."""
        plant = Plant(self._values)
        canaries = Canaries.of(ids=[str(plant.identifier)], words=[plant.word])
        self._cluster.log_line(f"a plant: {plant.identifier}")
        async with plant.grown():
            deadline = time.monotonic() + LAST_WORDS_SECONDS
            while True:
                found = {place.kind for place in await self._search(canaries) if place.found}
                blind = set(KINDS) - found
                if not blind or time.monotonic() > deadline:
                    return blind
                await asyncio.sleep(PAUSE)

    async def _wait_until_erased(self, app: App, receipt: Mapping[str, Any]) -> None:
        deadline = time.monotonic() + ERASED_SECONDS
        while True:
            answer = done(await app.erasure(receipt["erasure_id"], receipt["status_token"]))
            if answer.document["status"] == COMPLETED:
                return
            if time.monotonic() > deadline:
                silent = [
                    it["service"] for it in answer.document["participants"] if it["status"] != COMPLETED
                ]
                raise Broken(f"not erased after {ERASED_SECONDS:.0f} s; silent: {', '.join(silent)}")
            await asyncio.sleep(PAUSE)

    async def _search_until_gone(self, person: Person) -> list[Searched]:
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while True:
            places = await self._look_for(person)
            if not any(place.found for place in places) or time.monotonic() > deadline:
                return places
            await asyncio.sleep(PAUSE)

    async def _certificate(self, app: App, receipt: Mapping[str, Any]) -> list[str]:
        """Verify the certificate as a stranger does; return what is not offered, and raise for a bad one."""
        path = f"/privacy/erasures/{receipt['erasure_id']}/certificate"
        headers = {"X-Erasure-Token": receipt["status_token"]}
        answer = await app.call("GET", path, bearer="", headers=headers)
        if answer.status == NOT_FOUND:
            return ["a certificate"]
        with tempfile.TemporaryDirectory() as folder:
            certificate, keys = Path(folder) / "certificate.jwt", Path(folder) / "jwks.json"
            certificate.write_bytes(done(answer).body)
            keys.write_bytes(done(await app.published_keys()).body)
            command = ("identity", "verify-certificate", str(certificate), "--keys", str(keys))
            checked = subprocess.run(  # noqa: ASYNC221 - nothing else happens meanwhile
                [sys.executable, "-m", *command], capture_output=True, text=True, check=False
            )
        if checked.returncode:
            raise Broken(f"the certificate does not verify: {checked.stderr.strip()}")
        print("the certificate verifies with the published keys\n")
        return []

    def _report(self, places: Sequence[Searched], blind: set[str], missing: Sequence[str]) -> None:
        rows = [_sum(kind, [it for it in places if it.kind == kind], blind) for kind in KINDS]
        titles = ("store", "places", "searched", "bytes", "a plant is found", "kept as declared", "hits")
        print(table.render(rows, headings=titles))
        for place in places:
            if place.kept:
                print(f"\nkept as declared: {place.kept} in {place.name}")
            if place.found:
                print(f"\nHIT: {place.found} in {place.name}: {', '.join(sorted(place.labels))}")
        if missing:
            print(f"\nnot offered by this release, so not proved: {', '.join(missing)}")
        print("\nno archive of the write-ahead log is kept, so none was searched")


def _sum(kind: str, places: Sequence[Searched], blind: set[str]) -> tuple[str, ...]:
    numbers = (
        len(places),
        sum(place.looked_at for place in places),
        sum(place.size for place in places),
    )
    kept, found = sum(place.kept for place in places), sum(place.found for place in places)
    return (kind, *map(str, numbers), "no" if kind in blind else "yes", str(kept), str(found))
