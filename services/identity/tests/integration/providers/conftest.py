"""Apple and Google, played by real HTTP servers that sign real tokens."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm, get_default_algorithms
from sqlalchemy import func, select, text

from identity.settings import IdentitySettings

TEAM_ID, KEY_ID = "TEAM123456", "KEY1234567"
BUNDLE_ID, DEBUG_BUNDLE_ID = "org.irisvue.app", "org.irisvue.app.debug"
WEB_CLIENT_ID, ANDROID_CLIENT_ID = "web.apps.example", "android.apps.example"


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class SigningKey:
    """A provider's key under its name."""

    def __init__(self, kid: str, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self.kid = kid
        self.private = private
        self.algorithm = "RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256"
        self.jwk = {"kid": kid, "alg": self.algorithm, "use": "sig", **self._public()}

    def _public(self) -> dict[str, str]:
        maker = RSAAlgorithm if isinstance(self.private, rsa.RSAPrivateKey) else ECAlgorithm
        jwk = maker.to_jwk(self.private.public_key(), as_dict=True)
        return {name: value for name, value in jwk.items() if name in {"kty", "n", "e", "crv", "x", "y"}}

    def sign(self, claims: dict, *, algorithm: str | None = None, **headers) -> str:
        """Return a token; headers may lie about the algorithm and the key."""
        algorithm = algorithm or self.algorithm
        parts = [{"alg": algorithm, "kid": self.kid, **headers}, claims]
        text = ".".join(unpadded(json.dumps(part).encode()) for part in parts)
        signature = get_default_algorithms()[algorithm].sign(text.encode(), self.private)
        return f"{text}.{unpadded(signature)}"


class Keyring:
    """Keys are slow to make, so that all tests share them."""

    def __init__(self) -> None:
        self.rsa = SigningKey("rsa-1", rsa.generate_private_key(65537, 2048))
        self.next_rsa = SigningKey("rsa-2", rsa.generate_private_key(65537, 2048))
        self.weak_rsa = SigningKey("weak", rsa.generate_private_key(65537, 1024))
        self.ec = SigningKey("ec-1", ec.generate_private_key(ec.SECP256R1()))
        self.strangers = SigningKey("rsa-1", rsa.generate_private_key(65537, 2048))
        self.apple_credentials = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring()


class FakeProvider:
    """One provider: keys, a token endpoint and a revocation endpoint that can be told to misbehave."""

    def __init__(self, keyring: Keyring, *, issuer: str, audience: str, **claims) -> None:
        self.keyring = keyring
        self.issuer, self.audience, self.usual_claims = issuer, audience, claims
        self.keys = [keyring.rsa, keyring.ec]
        self.jwks: dict | None = None
        self.cache_control = "public, max-age=3600"
        self.trouble: dict[str, int | str] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict] = {}
        self.revoked: list[str] = []
        self.hold = asyncio.Event()
        self.url = ""

    def claims(self, **changes) -> dict:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "001234.subject.0001",
            "iat": now,
            "exp": now + 600,
            **self.usual_claims,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def token(
        self, *, key: SigningKey | None = None, algorithm=None, headers: dict | None = None, **changes
    ) -> str:
        """Return a signed id_token; a claim set to `...` is left out."""
        key = key or self.keyring.rsa
        return key.sign(self.claims(**changes), algorithm=algorithm, **(headers or {}))

    def notice(self, kind: str, *, subject: str = "001234.subject.0001", key=None, at=None, **changes) -> str:
        """Return a notice as Apple sends it: the event as JSON in a string."""
        now = int(time.time())
        event = {"type": kind, "sub": subject, "event_time": at or now}
        claims = {"iss": self.issuer, "aud": self.audience, "iat": now, "jti": str(uuid4())}
        claims |= {"events": json.dumps(event), **changes}
        claims = {name: value for name, value in claims.items() if value is not ...}
        return (key or self.keyring.rsa).sign(claims)

    def grant_code(self, code: str, **changes) -> str:
        """Let `code` be exchanged once, for a token that says what `token(**changes)` says."""
        self.codes[code] = changes
        return code

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/elsewhere", self._elsewhere)
        app.router.add_post("/token", self._exchange)
        app.router.add_post("/revoke", self._revoke)
        return app

    async def _misbehave(self, endpoint: str) -> web.Response | None:
        self.asked.append(endpoint)
        trouble = self.trouble.get(endpoint)
        if isinstance(trouble, int):
            return web.json_response({"error": "trouble"}, status=trouble)
        if trouble == "slow":
            await self.hold.wait()
        if trouble == "redirect":
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        if trouble == "oversize":
            return web.json_response({**self._jwks(), "padding": "x" * 100_000})
        if trouble == "not json":
            return web.Response(text="<html>", content_type="text/html")
        if isinstance(trouble, str) and trouble.startswith("invalid_"):
            return web.json_response({"error": trouble}, status=400)
        return None

    def _jwks(self) -> dict:
        return self.jwks if self.jwks is not None else {"keys": [key.jwk for key in self.keys]}

    async def _keys(self, _request: web.Request) -> web.Response:
        answer = await self._misbehave("keys")
        return answer or web.json_response(self._jwks(), headers={"Cache-Control": self.cache_control})

    async def _elsewhere(self, _request: web.Request) -> web.Response:
        self.asked.append("elsewhere")
        return web.json_response(self._jwks())

    async def _exchange(self, request: web.Request) -> web.Response:
        form = await request.post()
        if answer := await self._misbehave("token"):
            return answer
        self._check_client(form)
        changes = self.codes.pop(str(form["code"]), None)
        if form["grant_type"] != "authorization_code" or changes is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(
            {
                "access_token": "unused",
                "token_type": "Bearer",
                "expires_in": 3600,
                "refresh_token": f"refresh-of-{form['code']}",
                "id_token": self.token(**changes),
            }
        )

    async def _revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        if answer := await self._misbehave("revoke"):
            return answer
        self._check_client(form)
        assert form["token_type_hint"] == "refresh_token"
        self.revoked.append(str(form["token"]))
        return web.Response(status=200)

    def _check_client(self, form) -> None:
        claims = jwt.decode(
            str(form["client_secret"]),
            self.keyring.apple_credentials.public_key(),
            algorithms=["ES256"],
            audience="https://appleid.apple.com",
            issuer=TEAM_ID,
        )
        assert jwt.get_unverified_header(str(form["client_secret"]))["kid"] == KEY_ID
        assert claims["sub"] == form["client_id"]
        assert form["client_id"] in {BUNDLE_ID, DEBUG_BUNDLE_ID}


async def served(provider: FakeProvider) -> AsyncIterator[FakeProvider]:
    server = TestServer(provider.app())
    await server.start_server()
    provider.url = str(server.make_url(""))
    try:
        yield provider
    finally:
        provider.hold.set()
        await server.close()


@pytest.fixture
async def apple(keyring: Keyring) -> AsyncIterator[FakeProvider]:
    provider = FakeProvider(
        keyring,
        issuer="https://appleid.apple.com",
        audience=BUNDLE_ID,
        email="ada@example.org",
        email_verified="true",
        is_private_email="false",
        nonce_supported=True,
    )
    async for one in served(provider):
        yield one


@pytest.fixture
async def google(keyring: Keyring) -> AsyncIterator[FakeProvider]:
    provider = FakeProvider(
        keyring,
        issuer="https://accounts.google.com",
        audience=WEB_CLIENT_ID,
        azp=ANDROID_CLIENT_ID,
        email="ada@example.org",
        email_verified=True,
        hd="example.org",
    )
    async for one in served(provider):
        yield one


@pytest.fixture
def settings(
    production_settings: IdentitySettings,
    cheap_hashes: dict[str, int],
    keyring: Keyring,
    apple: FakeProvider,
    google: FakeProvider,
) -> IdentitySettings:
    """Return settings that point at the fake providers."""
    return production_settings.model_validate(
        {
            **production_settings.model_dump(),
            "apple_audiences": f"{BUNDLE_ID},{DEBUG_BUNDLE_ID}",
            "google_audiences": json.dumps([WEB_CLIENT_ID, ANDROID_CLIENT_ID]),
            "apple_team_id": TEAM_ID,
            "apple_key_id": KEY_ID,
            "apple_private_key": pem(keyring.apple_credentials),
            "provider_token_key": "0123456789abcdef" * 4,
            "apple_jwks_url": f"{apple.url}/keys",
            "apple_token_url": f"{apple.url}/token",
            "apple_revoke_url": f"{apple.url}/revoke",
            "google_jwks_url": f"{google.url}/keys",
            "provider_seconds": 0.5,
        }
    ).model_copy(update=cheap_hashes)


class ProviderApp:
    """The app on a phone that signs in with a provider."""

    def __init__(self, client, apple: FakeProvider, google: FakeProvider) -> None:
        self.client = client
        self.fakes = {"apple": apple, "google": google}

    async def send(self, provider: str, token: str, *, path: str = "", headers=None, **fields):
        field = "identity_token" if provider == "apple" else "id_token"
        return await self.client.post(
            f"/api/v1/auth/{provider}{path}", json={field: token, **fields}, headers=headers or {}
        )

    async def sign_in(self, provider: str, *, fields=None, **changes):
        """Sign in with a token that says `changes`; returns the answer."""
        return await self.send(provider, self.fakes[provider].token(**changes), **(fields or {}))

    async def signed_in(self, provider: str, *, fields=None, **changes) -> dict:
        """Sign in and return the account, with its `bearer`."""
        answer = await self.sign_in(provider, fields=fields, **changes)
        assert answer.status_code == 200, answer.text
        return await self.account({"Authorization": f"Bearer {answer.json()['access_token']}"})

    async def account(self, bearer: dict[str, str]) -> dict:
        me = await self.client.get("/api/v1/users/me", headers=bearer)
        assert me.status_code == 200, me.text
        return {**me.json(), "bearer": bearer}

    async def notify(self, payload: str):
        return await self.client.post("/api/v1/auth/apple/notifications", json={"payload": payload})


@pytest.fixture
def phone(client, apple: FakeProvider, google: FakeProvider) -> ProviderApp:
    return ProviderApp(client, apple, google)


@pytest.fixture
def rows(service):
    """Return a function that counts the rows of a table of identity's."""

    async def _rows(model) -> int:
        async with service.unit_of_work() as uow:
            return await uow.session.scalar(select(func.count()).select_from(model))

    return _rows


@pytest.fixture
def verified(service):
    """Return a function that marks an account as verified, as the click in the mail does."""

    async def _verified(person) -> None:
        async with service.unit_of_work() as uow:
            await uow.session.execute(
                text("UPDATE identity.users SET is_verified = true WHERE id = :id"), {"id": person.user_id}
            )

    return _verified
