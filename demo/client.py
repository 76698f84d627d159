"""The mobile app's side of the public API: one method per call, each returns the answer as it came."""

import base64
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

CALL_SECONDS = 30
BASE_PATH = "/api/v1"
BIOMETRIC = "biometric_capture"
PROBLEM_JSON = "application/problem+json"
PROBLEM_PREFIX = "urn:irisvue:problem:"
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    method: str
    target: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body; an empty one when there is none."""
        if "json" not in self.headers.get("Content-Type", ""):
            return {}
        document = json.loads(self.body)
        return document if isinstance(document, dict) else {}

    @property
    def problem(self) -> str:
        """The last part of a problem document's type, such as `consent-required`; empty for other answers.

        Raises ValueError for a document that RFC 9457, or the app, can't be served with.
        """
        if self.headers.get("Content-Type") != PROBLEM_JSON:
            return ""
        document = self.document
        whole = all(isinstance(document.get(name), str) for name in ("type", "title", "detail", "instance"))
        if not whole or document.get("status") != self.status:
            raise ValueError(f"{self.method} {self.target} answers with a malformed problem document")
        return str(document["type"]).removeprefix(PROBLEM_PREFIX)


Listener = Callable[[Answer], None]


class App:
    """One person's app: remembers the tokens that it was given and sends them where they belong."""

    def __init__(
        self, http: aiohttp.ClientSession, base_url: str, *, listener: Listener | None = None
    ) -> None:
        self._http = http
        self.base_url = base_url
        self._listener = listener
        self.access_token = ""
        self.refresh_token = ""

    async def call(self, method: str, path: str, *, bearer: str | None = None, **options: Any) -> Answer:
        """Send one request to a path of the API; `bearer` replaces the remembered token, "" sends none."""
        token = self.access_token if bearer is None else bearer
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        base = "" if path.startswith(("/health", "/.well-known")) else BASE_PATH
        return await self._send(method, self.base_url + base + path, path, headers=headers, **options)

    async def follow(self, method: str, url: str, **options: Any) -> Answer:
        """Use a signed link: it is its own permission, so no token goes with it."""
        target = url.split("?", 1)[0].removeprefix(self.base_url) + ("?…" if "?" in url else "")
        return await self._send(method, url, target, **options)

    async def register(self, email: str, password: str) -> Answer:
        """Create an account."""
        return await self.call(
            "POST", "/auth/register", bearer="", json={"email": email, "password": password}
        )

    async def login(self, email: str, password: str) -> Answer:
        """Sign in with a JSON body."""
        return self._remember(
            await self.call(
                "POST", "/auth/login/json", bearer="", json={"email": email, "password": password}
            )
        )

    async def login_with_form(self, email: str, password: str) -> Answer:
        """Sign in with an OAuth2 form."""
        return self._remember(
            await self.call("POST", "/auth/login", bearer="", data={"username": email, "password": password})
        )

    async def refresh(self, token: str | None = None) -> Answer:
        """Exchange the remembered (or another) refresh token for a new pair."""
        body = {"refresh_token": self.refresh_token if token is None else token}
        return self._remember(await self.call("POST", "/auth/refresh", bearer="", json=body))

    async def logout(self) -> Answer:
        """End the session."""
        return await self.call("POST", "/auth/logout")

    async def me(self) -> Answer:
        """Show the account."""
        return await self.call("GET", "/users/me")

    async def jurisdiction(self, **place: str) -> Answer:
        """Ask which laws hold at `country_code` and `state_code`."""
        return await self.call("GET", "/privacy/jurisdiction", bearer="", params=place)

    async def grant(self, jurisdiction: str, version: str, consent_type: str = BIOMETRIC) -> Answer:
        """Agree to a purpose under the text that was shown."""
        body = {"consent_type": consent_type, "jurisdiction": jurisdiction, "consent_text_version": version}
        return await self.call("POST", "/privacy/consent", json=body)

    async def consents(self) -> Answer:
        """List everything the person ever agreed to."""
        return await self.call("GET", "/privacy/consent")

    async def biometric_status(self) -> Answer:
        """Ask whether pictures may be taken now."""
        return await self.call("GET", "/privacy/consent/biometric-status")

    async def withdraw(self, consent_id: str) -> Answer:
        """No longer agree."""
        return await self.call("POST", f"/privacy/consent/{consent_id}/withdraw")

    async def receipt(self, consent_id: str) -> Answer:
        """Fetch the signed receipt of a consent."""
        return await self.call("GET", f"/privacy/consent/{consent_id}/receipt")

    async def published_keys(self) -> Answer:
        """Fetch the public keys (JWKS), as anybody may."""
        return await self.call("GET", "/.well-known/jwks.json", bearer="")

    async def ask_to_upload(self, content_type: str = "image/jpeg") -> Answer:
        """Ask for an upload link."""
        return await self.call("POST", "/photos/upload", json={"content_type": content_type})

    async def put(self, url: str, body: bytes, content_type: str = "image/jpeg") -> Answer:
        """Send a picture to its upload link."""
        return await self.follow("PUT", url, data=io.BytesIO(body), headers={"Content-Type": content_type})

    async def begin_in_pieces(self, length: int, content_type: str = "image/jpeg") -> Answer:
        """Begin an upload that goes on after a break (tus)."""
        kind = base64.b64encode(content_type.encode()).decode()
        said = {"Upload-Length": str(length), "Upload-Metadata": f"filetype {kind}"}
        return await self.call("POST", "/photos/uploads", headers={**TUS, **said})

    async def append(self, url: str, offset: int, piece: bytes) -> Answer:
        """Send the bytes of an upload that begin at `offset`."""
        said = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        return await self.follow("PATCH", url, data=io.BytesIO(piece), headers={**TUS, **said})

    async def confirm(self, photo_id: str, *, file_size: int, width: int, height: int) -> Answer:
        """Say that the bytes were sent."""
        body = {"file_size": file_size, "width": width, "height": height}
        return await self.call("POST", f"/photos/{photo_id}/confirm", json=body)

    async def ask_for_export(self) -> Answer:
        """Ask for a copy of everything that is held of the person."""
        return await self.call("POST", "/privacy/data-export")

    async def export_status(self) -> Answer:
        """Ask how far the copy is; once it is ready there is a link."""
        return await self.call("GET", "/privacy/data-export/status")

    async def photos(self, **page: str) -> Answer:
        """List the photos, newest first."""
        return await self.call("GET", "/photos", params=page)

    async def photo(self, photo_id: str) -> Answer:
        """Show one photo."""
        return await self.call("GET", f"/photos/{photo_id}")

    async def delete_photo(self, photo_id: str) -> Answer:
        """Delete one photo."""
        return await self.call("DELETE", f"/photos/{photo_id}")

    async def delete_account(self, *, confirm: bool = True) -> Answer:
        """Ask to be erased everywhere."""
        return await self.call("DELETE", "/users/me", json={"confirm": confirm})

    async def erasure(self, erasure_id: str, status_token: str) -> Answer:
        """Ask how far the erasure is; works without an account."""
        headers = {"X-Erasure-Token": status_token}
        return await self.call("GET", f"/privacy/erasures/{erasure_id}", bearer="", headers=headers)

    async def certificate(self, erasure_id: str, status_token: str, **headers: str) -> Answer:
        """Fetch the signed certificate of the erasure; works without an account."""
        shown = {"X-Erasure-Token": status_token, **headers}
        return await self.call("GET", f"/privacy/erasures/{erasure_id}/certificate", bearer="", headers=shown)

    async def anchor(self, digest: str) -> Answer:
        """Ask where the digest of a certificate stands in the log, as anybody may."""
        return await self.call("GET", f"/privacy/ledger/anchors/{digest}", bearer="")

    def _remember(self, answer: Answer) -> Answer:
        if "access_token" in answer.document:
            self.access_token = answer.document["access_token"]
            self.refresh_token = answer.document["refresh_token"]
        return answer

    async def _send(self, method: str, url: str, target: str, **options: Any) -> Answer:
        began = time.perf_counter()
        async with self._http.request(method, url, allow_redirects=False, **options) as response:
            body = await response.read()
        answer = Answer(method, target, response.status, response.headers, body, 0.0)
        answer = replace(answer, milliseconds=(time.perf_counter() - began) * 1000)
        if self._listener is not None:
            self._listener(answer)
        return answer


def open_http(user_agent: str | None = None) -> aiohttp.ClientSession:
    """Return the connection pool of one or many apps; use it with `async with`."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={} if user_agent is None else {"User-Agent": user_agent},
    )
