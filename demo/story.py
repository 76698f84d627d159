"""One person's story through the gateway: sign-up, consent, photos, withdrawal, erasure, and nothing left."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.environment import BUCKET
from demo import picture
from demo.client import Answer, App
from demo.copy_of_data import Copy
from demo.narrator import Narrator, StoryBroken
from demo.proofs import Proofs
from residue import Canaries, Searched, search
from residue.objects import open_store

ERASURE_SECONDS = 60.0
EXPORT_SECONDS = 60.0
LAST_WORDS_SECONDS = 10.0
POLL_SECONDS = 0.1
SLICE = 64


class Story:
    """Plays the path of one person; every expectation that fails ends it with `StoryBroken`."""

    def __init__(self, app: App, silent: App, narrator: Narrator, values: Mapping[str, str]) -> None:
        """`silent` is a second client whose requests are not told: for polling."""
        self._app = app
        self._silent = silent
        self._tell = narrator
        self._proofs = Proofs(app, silent, narrator)
        self._values = values
        self._email = f"ada.{secrets.token_hex(4)}@example.com"
        self._password = secrets.token_urlsafe(16)
        self._user_id = ""
        self._laws: dict[str, Any] = {}
        self._consent_ids: list[str] = []
        self._photos: list[dict[str, Any]] = []

    async def play(self) -> None:
        """Tell all of it."""
        await self._signs_up()
        await self._learns_the_law()
        await self._is_refused_then_agrees()
        await self._keeps_a_receipt()
        await self._takes_a_picture()
        await self._deletes_one_and_takes_another()
        await self._withdraws()
        await self._comes_back()
        await self._takes_a_copy()
        await self._is_found_everywhere()
        erasure = await self._asks_to_be_erased()
        await self._keeps_a_certificate(erasure)
        await self._is_found_nowhere()

    async def _signs_up(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("Ada signs up and signs in")
        user = tell.expect(await app.register(self._email, self._password), 201)
        self._user_id = user.document["id"]
        tell.fields(user, "id", "email", "is_verified", "auth_provider")
        tell.expect(await app.login_with_form(self._email, self._password), 200)
        first = tell.expect(await app.login(self._email, self._password), 200)
        tell.fields(first, "token_type", "expires_in")
        me = tell.expect(await app.me(), 200)
        tell.prove(me.document == user.document, "both ways to sign in lead to the same account")
        old = app.refresh_token
        tell.expect(await app.refresh(), 200)
        tell.prove(app.refresh_token != old, "the refresh token was exchanged for a new one")

    async def _learns_the_law(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("Which laws hold where she is")
        chicago = tell.expect(await app.jurisdiction(country_code="US", state_code="IL"), 200)
        tell.fields(chicago, "jurisdiction", "written_consent", "retention_days")
        berlin = tell.expect(await app.jurisdiction(country_code="DE"), 200)
        self._laws = berlin.document
        tell.fields(berlin, "jurisdiction", "jurisdictions", "source", "consent_text_version", "consent_text")

    async def _is_refused_then_agrees(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("Without consent there is no picture")
        refused = tell.expect(await app.ask_to_upload(), 403)
        tell.fields(refused, "detail")
        await self._agree()
        status = tell.expect(await app.biometric_status(), 200)
        tell.prove(status.document["has_consent"], "the consent is live")

    async def _agree(self) -> None:
        version = self._laws["consent_text_version"]
        consent = self._tell.expect(await self._app.grant(self._laws["jurisdiction"], version), 201)
        self._consent_ids.append(consent.document["id"])
        self._tell.fields(consent, "id", "consent_type", "granted_at", "expires_at")

    async def _keeps_a_receipt(self) -> None:
        self._tell.chapter("She keeps a receipt that anybody can check")
        await self._proofs.of_consent(self._consent_ids[-1])

    async def _takes_a_picture(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("A picture, with what the phone wrote into it")
        jpeg = picture.draw(seed=1)
        facts = picture.read(jpeg)
        tell.fact("the file", f"{facts.size} bytes, {facts.width} x {facts.height}, GPS: {facts.gps}")
        tell.fact("its tags", ", ".join(facts.tags))
        photo = await self._upload(jpeg)
        tell.fields(photo, "upload_status", "width", "height", "file_size", "s3_key")
        listed = tell.expect(await app.photos(), 200)
        tell.prove(listed.document["total"] == 1, "the list shows one photo")
        tell.expect(await app.photo(photo.document["id"]), 200)
        served = tell.expect(await app.follow("GET", photo.document["original_url"]), 200)
        kept = picture.read(served.body)
        tell.prove(kept.pixels == facts.pixels, "the pixels that come back are the pixels that were sent")
        tell.prove(kept.orientation == facts.orientation, "the phone still knows which way is up")
        tell.prove(
            not kept.gps and kept.tags == ("Orientation",) and not picture.tells_of_its_owner(served.body),
            "place, time, camera, comment and hidden bytes are gone",
        )
        await self._look_into_the_store(photo.document["s3_key"], served.body)

    async def _upload(self, jpeg: bytes) -> Answer:
        tell, app = self._tell, self._app
        facts = picture.read(jpeg)
        link = tell.expect(await app.ask_to_upload(picture.CONTENT_TYPE), 201).document
        tell.expect(await app.put(link["upload_url"], jpeg, picture.CONTENT_TYPE), 200)
        photo = tell.expect(
            await app.confirm(link["photo_id"], file_size=facts.size, width=facts.width, height=facts.height),
            200,
        )
        self._photos.append(photo.document)
        return photo

    async def _look_into_the_store(self, key: str, plain: bytes) -> None:
        """See with the operator's keys what the store itself holds."""
        tell = self._tell
        async with open_store(self._values) as s3:
            head = await s3.head_object(Bucket=BUCKET, Key=key)
            stored = await (await s3.get_object(Bucket=BUCKET, Key=key))["Body"].read()
        encryption = head.get("ServerSideEncryption")
        tell.prove(encryption == "AES256", "the store encrypts the object by itself (AES256)")
        middle = len(plain) // 2
        tell.prove(
            not stored.startswith(plain[:4]) and plain[middle : middle + SLICE] not in stored,
            "and what it was given is sealed: not even the store can see the picture",
        )

    async def _deletes_one_and_takes_another(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("She deletes it and takes another")
        photo = self._photos[0]
        tell.expect(await app.delete_photo(photo["id"]), 204)
        tell.expect(await app.follow("GET", photo["original_url"]), 403, 410)
        tell.expect(await app.photo(photo["id"]), 404)
        await self._upload(picture.draw(seed=2))

    async def _withdraws(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("She changes her mind")
        photo = self._photos[-1]
        tell.expect(await app.follow("GET", photo["original_url"]), 200)
        withdrawn = tell.expect(await app.withdraw(self._consent_ids[-1]), 200)
        tell.fields(withdrawn, "granted", "withdrawn_at")
        tell.expect(await app.follow("GET", photo["original_url"]), 403, 410)
        tell.expect(await app.ask_to_upload(), 403)
        tell.proven("from the withdrawal on, the link is dead and the door is shut")

    async def _comes_back(self) -> None:
        tell = self._tell
        tell.chapter("She agrees once more, and takes a third picture")
        await self._agree()
        photo = await self._upload(picture.draw(seed=3))
        tell.expect(await self._app.follow("GET", photo.document["original_url"]), 200)
        consents = tell.expect(await self._app.consents(), 200).document["consents"]
        tell.prove(
            [consent["granted"] for consent in consents] == [True, False],
            "both her consents are on record, the withdrawn one too",
        )

    async def _takes_a_copy(self) -> None:
        tell, app = self._tell, self._app
        tell.chapter("She takes a copy of all that is held of her")
        asked = tell.expect(await app.ask_for_export(), 202)
        tell.fields(asked, "message", "export_id")
        tell.expect(await app.ask_for_export(), 202)
        ready = await self._wait_for_the_copy()
        fetched = tell.expect(await app.follow("GET", ready["export_url"]), 200)
        copy = Copy.read(fetched.body)
        tell.fact("the archive", f"{len(fetched.body)} bytes, {len(copy.names)} files")
        tell.table(copy.contents(), ("service", "kind", "records"))
        tell.prove(copy.is_whole(), "every file has the SHA-256 that the manifest says, and none is missing")
        tell.prove(
            copy.has_photos(photo["id"] for photo in self._photos[-1:]) and self._email in copy.account,
            "her picture, her account and her consents with their receipts are in it",
        )
        tell.expect(await app.follow("GET", ready["export_url"]), 410)
        tell.proven("the link worked once")

    async def _wait_for_the_copy(self) -> dict[str, Any]:
        deadline = time.monotonic() + EXPORT_SECONDS
        while True:
            answer = self._tell.expect(await self._silently("GET", "/privacy/data-export/status"), 200)
            if answer.document["status"] == "ready":
                return answer.document
            if time.monotonic() > deadline:
                raise StoryBroken(f"the copy was not ready after {EXPORT_SECONDS:.0f} s: {answer.body!r}")
            await asyncio.sleep(POLL_SECONDS)

    async def _silently(self, method: str, path: str) -> Answer:
        return await self._silent.call(method, path, bearer=self._app.access_token)

    async def _is_found_everywhere(self) -> None:
        self._tell.chapter("What the platform holds of her now (the operator looks, with the keys of .env)")
        places = await search(self._values, self._canaries())
        self._show(places, only_found=True)
        kinds = {place.kind for place in places if place.found}
        self._tell.prove({"table", "bucket"} <= kinds, "this search does find her while she is there")

    async def _asks_to_be_erased(self) -> Mapping[str, Any]:
        tell, app = self._tell, self._app
        tell.chapter("She asks to be erased")
        tell.expect(await app.delete_account(confirm=False), 400)
        receipt = tell.expect(await app.delete_account(), 200)
        tell.fields(receipt, "deleted_at", "erasure_id", "status_url")
        tell.expect(await app.me(), 401)
        tell.expect(await app.refresh(), 401)
        tell.expect(await app.login(self._email, self._password), 401)
        for photo in self._photos:
            tell.expect(await app.follow("GET", photo["original_url"]), 403, 410)
        tell.proven("token, refresh token, password and links are dead at once")
        began = time.monotonic()
        erasure = await self._wait_for(receipt.document)
        tell.fact("erased after", f"{time.monotonic() - began:.2f} s")
        tell.expect(await app.erasure(receipt.document["erasure_id"], receipt.document["status_token"]), 200)
        rows = [
            (part["service"], part["status"], ", ".join(f"{n} {kind}" for kind, n in part["erased"].items()))
            for part in erasure["participants"]
        ]
        tell.table(rows, ("participant", "status", "erased"))
        tell.prove(all(row[1] == "completed" for row in rows), "every participant looked again and reported")
        return receipt.document

    async def _keeps_a_certificate(self, erasure: Mapping[str, Any]) -> None:
        self._tell.chapter("She keeps a certificate that anybody can check")
        await self._proofs.of_erasure(erasure, self._user_id)

    async def _wait_for(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + ERASURE_SECONDS
        while True:
            answer = await self._silent.erasure(receipt["erasure_id"], receipt["status_token"])
            if self._tell.expect(answer, 200).document["status"] == "completed":
                return answer.document
            if time.monotonic() > deadline:
                raise StoryBroken(
                    f"the erasure was not complete after {ERASURE_SECONDS:.0f} s: {answer.body!r}"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _is_found_nowhere(self) -> None:
        tell = self._tell
        tell.chapter("What is left of her")
        places, left = await self._search_until_gone()
        self._show(places)
        if left:
            names = ", ".join(f"{place.name} ({place.found})" for place in left)
            raise StoryBroken(f"traces of the person are left in: {names}")
        total = sum(place.looked_at for place in places)
        tell.proven(f"nothing in {total} rows, objects, keys and messages of {len(places)} places")

    async def _search_until_gone(self) -> tuple[list[Searched], list[Searched]]:
        """Search; the last announcements may still be on their way out, and are given some seconds."""
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while True:
            places = await search(self._values, self._canaries())
            left = [place for place in places if place.found]
            if not left or time.monotonic() > deadline:
                return places, left
            await asyncio.sleep(POLL_SECONDS)

    def _canaries(self) -> Canaries:
        return Canaries.of(
            ids=[self._user_id, *self._consent_ids, *(photo["id"] for photo in self._photos)],
            words=[self._email],
            object_keys=[photo["s3_key"] for photo in self._photos],
        )

    def _show(self, places: Sequence[Searched], *, only_found: bool = False) -> None:
        shown = [place for place in places if place.found or (place.looked_at and not only_found)]
        rows = [
            (place.kind, place.name, str(place.looked_at), str(place.found), str(place.kept or ""))
            for place in shown
        ]
        self._tell.table(rows, ("kind", "place", "looked at", "of her", "keyed hash of her folder"))
        if not only_found:
            empty = Counter(place.kind for place in places if not place.looked_at)
            counted = ", ".join(f"{number} of kind {kind}" for kind, number in empty.items())
            self._tell.fact("empty places", counted)
