"""Whatever is sent to consent and storage, they answer as their OpenAPI documents say (S1)."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis.ids import new_id
from identity.models import Session
from identity.settings import IdentitySettings
from identity.tokens import AuthorizedSession, TokenIssuer
from support.api_process import ApiProcess, api_process
from support.fuzzing import Findings, fuzz

SERVICES = Path(__file__).parents[2] / "services"
UPLOADS = "/api/v1/photos/uploads"
ALSO_REFUSED: dict[str, dict[str, list[int]]] = {
    # Where the law allows no consent, or none without a signature, the most valid of requests is refused.
    "consent": {"POST /api/v1/privacy/consent": [422, 451]},
    # A link that nobody gave out is refused or gone, whatever comes with it.
    "storage": {
        "PUT /api/v1/photos/{photo_id}/content": [400, 410, 413, 415],
        "HEAD /api/v1/photos/uploads/{photo_id}": [410, 412],
        "PATCH /api/v1/photos/uploads/{photo_id}": [400, 410, 412, 413, 415, 460],
        "DELETE /api/v1/photos/uploads/{photo_id}": [410, 412],
        "POST /api/v1/photos/uploads": [400, 410, 412, 413, 415, 460],
    },
}
# As far as other methods go, `/photos/upload`, `/photos/uploads` and `/photos/usage` are addresses of photos.
ALSO_PHOTOS = (
    "POST /api/v1/photos/upload",
    f"POST {UPLOADS}",
    f"OPTIONS {UPLOADS}",
    "GET /api/v1/photos/usage",
)
# Who does not say which version of the protocol they speak gets 412, as the protocol asks for.
TUS = tuple(f"{method} {UPLOADS}/{{photo_id}}" for method in ("HEAD", "PATCH", "DELETE"))
UNCHECKED: dict[str, dict[str, list[str]]] = {
    "consent": {},
    "storage": {
        **{operation: ["unsupported_method", "allow_header_conformance"] for operation in ALSO_PHOTOS},
        **{operation: ["missing_required_header"] for operation in TUS},
    },
}
UNCHECKED["storage"][f"POST {UPLOADS}"].append("missing_required_header")


@pytest.fixture
def issuer(platform) -> TokenIssuer:
    """Return what signs as identity does; consent and storage ask nobody whether a session is open."""
    with platform.variables_of("identity"):
        return TokenIssuer(IdentitySettings())


def bearer_only(service: str) -> Iterator[str]:
    """Name the operations that need a person's token."""
    document = json.loads((SERVICES / service / "openapi.json").read_text())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation.get("security"):
                yield f"{method.upper()} {path}"


@pytest.mark.parametrize("service", ALSO_REFUSED)
async def test_every_answer_is_as_documented(platform, issuer, request, service) -> None:
    # Whoever comes back with another token is still the person whose consents and photos were made before.
    person = new_id()

    def new_token() -> str:
        now = datetime.now(UTC)
        session = Session(id=new_id(), user_id=person, generation=1, authenticated_at=now, rotated_at=now)
        return issuer.access_token(AuthorizedSession(session, email_verified=True), now=now)[0]

    def both(api: ApiProcess) -> list[Findings]:
        """Send everything with a person's token, and again with none."""
        rules = {"also_refused": ALSO_REFUSED[service], "unchecked": UNCHECKED[service]}
        amount = {
            "cases": request.config.getoption("--generated-cases"),
            "seed": request.config.getoption("--generated-seed"),
        }
        return [
            fuzz(api.url, proof=api.proof, new_token=token, **amount, **rules) for token in (new_token, None)
        ]

    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(api_process(platform, "identity", silent=True))
        own = {"CONSENT_IDENTITY_URL": identity.url}
        consent = await stack.enter_async_context(api_process(platform, "consent", silent=True, **own))
        own = {"STORAGE_IDENTITY_URL": identity.url, "STORAGE_CONSENT_URL": consent.url}
        storage = await stack.enter_async_context(api_process(platform, "storage", silent=True, **own))
        api = {"consent": consent, "storage": storage}[service]
        signed_in, anonymous = await asyncio.to_thread(both, api)
    assert not signed_in.failures
    assert not anonymous.failures
    assert not anonymous.succeeded & set(bearer_only(service))
