"""Pages of other origins: those that the settings name may call everything, and read what answers say."""

from typing import Any

import pytest

ORIGIN = "https://app.example"
OTHER = "https://elsewhere.example"
ORIGINS = f"{ORIGIN}, http://localhost:8081"


def preflight(method: str, *names: str, origin: str = ORIGIN) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        **({"Access-Control-Request-Headers": ", ".join(names)} if names else {}),
    }


@pytest.mark.parametrize(
    "path", ["/api/v1/auth/register", "/api/v1/photos/1/content", "/health", "/openapi.json", "/nowhere"]
)
async def test_preflight_is_answered_for_every_address_and_kept(open_stage: Any, path: str) -> None:
    async with open_stage(cors_origins=ORIGINS) as stage:
        asked = preflight("PUT", "authorization", "content-type", "idempotency-key")
        async with stage.client.options(path, headers=asked) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} <= {
                name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")
            }
            allowed = {name.strip() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
            assert int(answer.headers["Access-Control-Max-Age"]) >= 600
            assert "Origin" in answer.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
        assert allowed >= {
            "Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID", "X-Erasure-Token", "Range",
            "If-None-Match", "Sec-GPC", "Accept-Language", "Tus-Resumable", "Upload-Length", "Upload-Offset",
            "Upload-Metadata", "Upload-Checksum",
        }  # fmt: skip
        assert not stage.storage.asked


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/privacy/jurisdiction", 200),
        ("GET", "/api/v1/users/me", 401),
        ("GET", "/nowhere", 404),
        ("DELETE", "/api/v1/auth/register", 405),
        ("GET", "/health", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/health/moon", 404),
    ],
)
async def test_every_answer_may_be_read_by_the_origins_that_are_named(
    open_stage: Any, method: str, path: str, status: int
) -> None:
    async with open_stage(cors_origins=ORIGINS) as stage:
        async with stage.client.request(method, path, headers={"Origin": ORIGIN}) as answer:
            assert answer.status == status
            assert answer.headers.getall("Access-Control-Allow-Origin") == [ORIGIN]
            exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
            assert exposed >= {
                "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID", "Location", "ETag",
                "Upload-Offset", "Upload-Length", "Upload-Expires", "Tus-Resumable", "Tus-Version",
                "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm",
            }  # fmt: skip
        for origin in (OTHER, "null", ORIGIN + ".evil.example", ORIGIN.upper()):
            async with stage.client.request(method, path, headers={"Origin": origin}) as answer:
                assert answer.status == status
                assert "Access-Control-Allow-Origin" not in answer.headers
                # A cache must not hand this answer to the origin that may read it.
                assert "Origin" in answer.headers.getall("Vary")


async def test_what_a_service_varies_by_stays(open_stage: Any) -> None:
    async with open_stage(cors_origins=ORIGINS) as stage:
        path = "/api/v1/privacy/jurisdiction"
        stage.consent.answers("GET", path, {}, Vary="Accept-Language")
        async with stage.client.get(path, headers={"Origin": ORIGIN}) as answer:
            assert {"Accept-Language", "Origin"} <= set(answer.headers.getall("Vary"))


async def test_overload_and_limits_can_be_read_too(open_stage: Any) -> None:
    async with open_stage(cors_origins=ORIGINS, limits='{"register": "2/hour"}') as stage:
        for _ in range(3):
            async with stage.client.post(
                "/api/v1/auth/register", json={}, headers={"Origin": ORIGIN}
            ) as answer:
                status = answer.status
                assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert status == 429


async def test_without_origins_nothing_is_said(stage: Any) -> None:
    async with stage.client.options("/health", headers=preflight("GET")) as answer:
        assert answer.status == 405
    async with stage.client.get("/health", headers={"Origin": ORIGIN}) as answer:
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_preflight_of_somebody_else_is_no_preflight(open_stage: Any) -> None:
    async with (
        open_stage(cors_origins=ORIGINS) as stage,
        stage.client.options("/health", headers=preflight("GET", origin=OTHER)) as answer,
    ):
        assert answer.status == 405
        assert "Access-Control-Allow-Origin" not in answer.headers
