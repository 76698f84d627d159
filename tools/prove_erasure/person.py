"""A synthetic person with a canary in every field that the API takes, and what they do until they leave."""

import asyncio
import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from demo import picture
from demo.client import Answer, App
from residue import Canaries

LAW = "gdpr"
COUNTRY = "DE"
SECONDS = 60.0
PAUSE = 0.1
ACCEPTED = (200, 201, 202, 204)
READY = "ready"
_CHOICE = {"opt_out_of_sale_and_sharing": True, "limit_sensitive_data_use": True}


class Broken(Exception):
    """A call was answered otherwise than it should be; says which."""


def canary(name: str) -> str:
    """Return a word that stands nowhere else."""
    return f"{name}{secrets.token_hex(8)}"


@dataclass
class Person:
    """What is known of the person; `words` are fields, `secrets` random values that no hash gives back."""

    email: str = field(default_factory=lambda: f"{canary('anna.')}@example.com")
    new_email: str = field(default_factory=lambda: f"{canary('anna.new.')}@example.com")
    password: str = field(default_factory=lambda: canary("blue irises "))
    user_agent: str = field(default_factory=lambda: f"{canary('Fieldphone/')} (canary)")
    note: str = field(default_factory=lambda: f'naïve "{canary("note ")}" \\ done')
    idempotency_key: str = field(default_factory=lambda: canary("key-"))
    ids: list[str] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    object_keys: list[str] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)

    @property
    def canaries(self) -> Canaries:
        """Everything that leads to the person, in every spelling."""
        words = {
            "e-mail address": self.email,
            "name in the address": self.email.partition("@")[0],
            "new e-mail address": self.new_email,
            "password": self.password,
            "user agent": self.user_agent,
            "words beside a consent": self.note,
            "idempotency key": self.idempotency_key,
            "place in the picture": picture.PLACE,
        }
        return Canaries.of(
            ids=self.ids,
            words=words,
            secrets=self.secrets,
            object_keys=self.object_keys,
            sessions=self.sessions,
            photos=self.photos,
            pictures=self.pictures,
        )

    async def live(self, app: App) -> None:
        """Sign up, agree to some of it and refuse the rest, take pictures and a copy, delete one."""
        await self._sign_up(app)
        await self._decide(app)
        for in_pieces in (False, True):
            await self._take_picture(app, secrets.randbits(32), in_pieces=in_pieces)
        photos = _done(await app.photos())["items"]
        done(await app.delete_photo(photos[-1]["id"]))
        await self._ask_for_a_link(app)
        await self._begin_in_pieces(app, picture.draw(secrets.randbits(32)), until=0.5)
        await self._ask_for_a_copy(app)

    async def _ask_for_a_copy(self, app: App) -> None:
        """Ask for a copy of everything, wait until it is ready, and let it lie there with its link."""
        self.ids.append(_done(await app.ask_for_export())["export_id"])
        deadline = time.monotonic() + SECONDS
        while (status := _done(await app.export_status()))["status"] != READY:
            if time.monotonic() > deadline:
                raise Broken(f"no copy of the data was ready in time: {status['progress']}")
            await asyncio.sleep(PAUSE)
        query = parse_qs(urlsplit(status["export_url"]).query)
        self.secrets += query["signature"]

    async def leave(self, app: App) -> dict[str, Any]:
        """Ask to be erased; return the receipt."""
        headers = {"Idempotency-Key": self.idempotency_key}
        receipt = _done(await app.call("DELETE", "/users/me", json={"confirm": True}, headers=headers))
        self.secrets.append(receipt["status_token"])
        return receipt

    async def _sign_up(self, app: App) -> None:
        user = _done(await app.register(self.email, self.password))
        self.ids.append(user["id"])
        self._remember(done(await app.login_with_form(self.email, self.password)))
        self._remember(done(await app.login(self.email, self.password)))
        self._remember(done(await app.refresh()))
        done(await app.call("POST", "/auth/request-password-reset", bearer="", json={"email": self.email}))
        done(await app.call("PATCH", "/users/me", json={"email": self.new_email}))

    def _remember(self, answer: Answer) -> None:
        token = answer.document["access_token"]
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        if claims["sid"] not in self.sessions:
            self.sessions.append(claims["sid"])
        self.secrets += [token.rpartition(".")[2], answer.document["refresh_token"]]

    async def _decide(self, app: App) -> None:
        """Agree to pictures and to data processing, take the second back, and say no to marketing."""
        biometric = await self._consent(app, "biometric_capture")
        processing = await self._consent(app, "data_processing")
        await self._consent(app, "marketing", granted=False)
        done(await app.withdraw(processing))
        self.secrets.append(await self._receipt(app, biometric))
        done(await app.call("PUT", "/privacy/preferences", json=_CHOICE))

    async def _consent(self, app: App, consent_type: str, *, granted: bool = True) -> str:
        texts = _done(await app.call("GET", f"/privacy/consent-texts/{LAW}/{consent_type}", bearer=""))
        body = {
            "consent_type": consent_type,
            "jurisdiction": LAW,
            "consent_text_version": texts["current_version"],
            "country_code": COUNTRY,
            "granted": granted,
            "metadata": {"note": self.note},
        }
        consent: str = _done(await app.call("POST", "/privacy/consent", json=body))["id"]
        self.ids.append(consent)
        return consent

    async def _receipt(self, app: App, consent_id: str) -> str:
        deadline = time.monotonic() + SECONDS
        while (answer := done(await app.receipt(consent_id))).status == 202:  # noqa: PLR2004 - not sealed yet
            if time.monotonic() > deadline:
                raise Broken("the consent was not sealed in time")
            await asyncio.sleep(PAUSE)
        return answer.body.decode().rpartition(".")[2]

    async def _take_picture(self, app: App, seed: int, *, in_pieces: bool) -> None:
        jpeg = picture.draw(seed)
        facts = picture.read(jpeg)
        if in_pieces:
            link = await self._begin_in_pieces(app, jpeg, until=1.0)
        else:
            link = await self._ask_for_a_link(app)
            done(await app.put(link["upload_url"], jpeg, picture.CONTENT_TYPE))
        confirmed = await app.confirm(
            link["photo_id"], file_size=facts.size, width=facts.width, height=facts.height
        )
        photo = _done(confirmed)
        read = [
            done(await app.follow("GET", photo[f"{name}_url"])).body for name in ("original", "thumbnail")
        ]
        self.pictures += [jpeg, *read]

    async def _begin_in_pieces(self, app: App, jpeg: bytes, *, until: float) -> dict[str, Any]:
        """Send a part of a picture, or all of it, in two pieces."""
        link = self._remember_link(_done(await app.begin_in_pieces(len(jpeg), picture.CONTENT_TYPE)))
        end = int(until * len(jpeg))
        for begin, stop in ((0, end // 2), (end // 2, end)):
            done(await app.append(link["upload_url"], begin, jpeg[begin:stop]))
        return link

    async def _ask_for_a_link(self, app: App) -> dict[str, Any]:
        return self._remember_link(_done(await app.ask_to_upload(picture.CONTENT_TYPE)))

    def _remember_link(self, link: dict[str, Any]) -> dict[str, Any]:
        self.photos.append(link["photo_id"])
        self.object_keys.append(link["s3_key"])
        query = parse_qs(urlsplit(link["upload_url"]).query)
        self.secrets += [value for name, (value, *_) in query.items() if name == "token"]
        return link


def done(answer: Answer) -> Answer:
    """Return the answer of a call that was done; raises `Broken` for every other."""
    if answer.status not in ACCEPTED:
        raise Broken(f"{answer.method} {answer.target} answered {answer.status} {answer.problem}".strip())
    return answer


def _done(answer: Answer) -> dict[str, Any]:
    return done(answer).document
