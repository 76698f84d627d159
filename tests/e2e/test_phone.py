"""A phone that follows the rules of the app in the field ends in the right state, whatever fails on the way.

Its rules: a call that got no answer, or that the platform could not serve, is made again, over the other
network if there is one; a 401 is answered with one refresh; a refresh that brings no new tokens
signs the person out.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from demo.client import Answer, App, open_http
from support import eventually
from support.proxy import FaultyProxy

PASSWORD = "seven blue irises"
ANSWER_SECONDS = 3.0
REFRESHED_SECONDS = 12.0
"""Longer than the ten seconds in which a refresh that is repeated gets the same successor in any case."""
PATIENCE_SECONDS = 90.0
UNSERVED = {429, 500, 502, 503, 504}
REFRESH = "/auth/refresh"


class Phone(App):
    """The app on a phone that knows two ways to the gateway."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, networks: list[FaultyProxy]) -> None:
        super().__init__(http, base_url)
        self.networks = networks

    @property
    def network(self) -> FaultyProxy:
        return self.networks[0]

    @property
    def is_signed_in(self) -> bool:
        return bool(self.refresh_token)

    async def call(self, method: str, path: str, *, bearer: str | None = None, **options: Any) -> Answer:
        answer = await super().call(method, path, bearer=bearer, **options)
        if answer.status != 401 or bearer is not None or not self.is_signed_in:
            return answer
        if (await self.refresh()).status == 200:
            return await super().call(method, path, **options)
        self.access_token = self.refresh_token = ""
        return answer

    async def put(self, url: str, body: bytes, content_type: str = "image/jpeg") -> Answer:
        return await self.follow("PUT", url, data=body, headers={"Content-Type": content_type})

    async def _send(self, method: str, url: str, target: str, **options: Any) -> Answer:
        parts = urlsplit(url)
        rest = parts.path + (f"?{parts.query}" if parts.query else "")
        given_up = set() if target == REFRESH else UNSERVED

        async def answered() -> Answer:
            way = f"http://127.0.0.1:{self.network.port}{rest}"
            patience = aiohttp.ClientTimeout(total=REFRESHED_SECONDS if target == REFRESH else ANSWER_SECONDS)
            try:
                answer = await super(Phone, self)._send(method, way, target, timeout=patience, **options)
            except (aiohttp.ClientError, TimeoutError) as lost:
                self.networks.reverse()
                raise AssertionError(f"{method} {target} got no answer") from lost
            assert answer.status not in given_up, f"{method} {target}: {answer.status} {answer.problem}"
            return answer

        return await eventually(answered, seconds=PATIENCE_SECONDS)


Fault = Callable[[Phone, bytes], Awaitable[None]]


@dataclass
class Journey:
    """One person's way through the app, with a fault at every call."""

    phone: Phone
    fail: Fault
    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")

    async def signs_up_and_in(self) -> None:
        phone, name = self.phone, self.email.encode()
        await self.fail(phone, name)
        registered = await phone.register(self.email, PASSWORD)
        # Whose first answer was lost is told that the address has an account, and signs in to it.
        assert registered.status == 201 or registered.problem == "email-taken", registered.body
        await self.fail(phone, name)
        assert (await phone.login(self.email, PASSWORD)).status == 200
        await self.fail(phone, b"refresh_token")
        assert (await phone.refresh()).status == 200
        await self.fail(phone, b"GET /api/v1/users/me")
        assert (await phone.me()).document["email"] == self.email

    async def agrees(self) -> None:
        phone = self.phone
        await self.fail(phone, b"GET /api/v1/privacy/jurisdiction")
        law = (await phone.jurisdiction(country_code="DE")).document
        await self.fail(phone, b'"consent_type"')
        consent = await phone.grant("gdpr", law["consent_text_version"])
        assert consent.status == 201, consent.body
        assert (await phone.biometric_status()).document["has_consent"] is True

    async def takes_a_picture(self, jpeg: bytes) -> str:
        phone = self.phone
        await self.fail(phone, b'"content_type"')
        link = await phone.ask_to_upload()
        assert link.status == 201, link.body
        await self.fail(phone, jpeg[-16:])
        put = await phone.put(link.document["upload_url"], jpeg)
        assert put.status == 200, put.body
        await self.fail(phone, b'"file_size"')
        photo_id = str(link.document["photo_id"])
        photo = await phone.confirm(photo_id, file_size=len(jpeg), width=1, height=1)
        assert photo.status == 200, photo.body
        return photo_id

    async def sees_it(self, photo_id: str) -> None:
        await self.fail(self.phone, b"GET /api/v1/photos")
        listed = (await self.phone.photos()).document
        assert [item["id"] for item in listed["items"]] == [photo_id]
        assert listed["total"] == 1
        assert listed["items"][0]["upload_status"] == "uploaded"
        consents = (await self.phone.consents()).document["consents"]
        assert [consent["granted"] for consent in consents].count(True) == 1

    async def leaves(self) -> None:
        await self.fail(self.phone, b'"confirm"')
        gone = await self.phone.delete_account()
        # Whose receipt was lost is signed out: the account is closed all the same.
        assert gone.status == 200 or not self.phone.is_signed_in, gone.body
        assert (await self.phone.login(self.email, PASSWORD)).problem == "invalid-credentials"


@pytest.fixture
async def phone(stage) -> AsyncIterator[Phone]:
    """Return a phone with two networks in front of the gateway."""
    async with AsyncExitStack() as opened:
        gateway = ("127.0.0.1", int(stage.values["GATEWAY_PORT"]))
        networks = [await opened.enter_async_context(FaultyProxy(*gateway)) for _ in range(2)]
        http = await opened.enter_async_context(open_http())
        yield Phone(http, stage.url, networks)


def no_fault(_stage) -> Fault:
    async def fail(_phone: Phone, _mark: bytes) -> None:
        return

    return fail


def answer_lost(_stage) -> Fault:
    """The request arrives, and the connection breaks before the answer."""

    async def fail(phone: Phone, mark: bytes) -> None:
        phone.network.cut_after(mark)

    return fail


def half_open(_stage) -> Fault:
    """The request arrives, and then nothing passes any more; what was under way arrives late."""

    async def fail(phone: Phone, mark: bytes) -> None:
        for network in phone.networks:
            network.heal()
        phone.network.blackhole_after(mark)

    return fail


def expired(stage) -> Fault:
    """The access token has expired; it is made of the real one, with the real key."""
    key = load_pem_private_key(stage.values["IDENTITY_SIGNING_KEY"].replace("\\n", "\n").encode(), None)

    async def fail(phone: Phone, _mark: bytes) -> None:
        if not phone.access_token:
            return
        header = jwt.get_unverified_header(phone.access_token)
        claims = jwt.decode(phone.access_token, options={"verify_signature": False})
        hour = int(timedelta(hours=1).total_seconds())
        claims |= {"iat": claims["iat"] - hour, "exp": claims["iat"] - 1}
        phone.access_token = jwt.encode(claims, key, algorithm="ES256", headers=header)

    return fail


def restarted(stage) -> Fault:
    """Identity ends without warning while the call is made, and starts again."""

    async def fail(_phone: Phone, _mark: bytes) -> None:
        await stage.cluster.until_ready("identity-api")
        await asyncio.to_thread(stage.cluster.kill, "identity-api")

    return fail


@pytest.mark.parametrize("fault", [no_fault, answer_lost, half_open, expired, restarted])
async def test_phone_ends_in_the_right_state(stage, phone, small_jpeg, fault) -> None:
    journey = Journey(phone, fault(stage))
    await journey.signs_up_and_in()
    await journey.agrees()
    photo_id = await journey.takes_a_picture(small_jpeg)
    await journey.sees_it(photo_id)
    users = "SELECT count(*) FROM identity.users WHERE email = $1 AND erasure_id IS NULL"
    assert await stage.count(users, journey.email) == 1
    user_id = (await phone.me()).document["id"]
    await journey.leaves()

    async def nothing_is_left() -> None:
        left = [
            await stage.count(f"SELECT count(*) FROM {table} WHERE {column} = $1", user_id)
            for table, column in (("identity.users", "id"), ("storage.photos", "user_id"))
        ]
        assert left == [0, 0]

    await eventually(nothing_is_left, seconds=60)
