from dataclasses import replace

import pytest
from httpx2 import ASGITransport, AsyncClient

from chassis.service_auth import ServiceTokens
from consent.jurisdictions import Place
from consent.main import CONSENT

ILLINOIS, GERMANY = "192.0.2.7", "203.0.113.7"


class Atlas:
    """Knows the places of a few addresses."""

    def locate(self, address: str | None) -> Place | None:
        return {ILLINOIS: Place("US", "IL"), GERMANY: Place("DE", None)}.get(address or "")

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
def with_atlas(app, service, issuer) -> None:
    CONSENT.install(app, replace(service, geography=Atlas()))
    app.state.access_tokens = issuer.verifier


@pytest.fixture
def forwarded(with_atlas, client):

    async def get(address: str, *, query: str = ""):
        headers = {"X-Forwarded-For": address}
        answer = await client.get(f"/api/v1/privacy/jurisdiction{query}", headers=headers)
        assert answer.status_code == 200
        return answer.json()

    return get


async def test_the_address_that_the_gateway_forwards_decides(forwarded) -> None:
    body = await forwarded(ILLINOIS)
    assert (body["jurisdiction"], body["source"]) == ("bipa", "ip")
    assert (body["detected_country"], body["detected_region"]) == ("US", "IL")


@pytest.mark.parametrize(
    ("by", "audience", "status"), [(None, "", 401), ("storage", "consent", 403), ("gateway", "identity", 401)]
)
async def test_nobody_but_the_gateway_can_say_where_a_client_is(app, platform, by, audience, status) -> None:
    headers = {"X-Forwarded-For": ILLINOIS}
    if by is not None:
        key = platform.servers.values[f"{by.upper()}_SERVICE_KEY"].replace("\\n", "\n")
        headers["X-Service-Token"] = ServiceTokens(by, private_key=key, public_keys={}).issue(audience)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://consent") as anybody:
        answer = await anybody.get("/api/v1/privacy/jurisdiction", headers=headers)
    assert answer.status_code == status
    assert "jurisdiction" not in answer.json()


async def test_what_the_device_says_leads_and_its_network_adds(forwarded) -> None:
    body = await forwarded(GERMANY, query="?country_code=US&state_code=IL")
    assert body["jurisdictions"] == ["bipa", "gdpr"]
    assert (body["detected_country"], body["source"]) == ("US", "device")
    assert body["retention_days"] == 365


async def test_no_network_lowers_what_the_device_says(forwarded) -> None:
    body = await forwarded("198.51.100.1", query="?country_code=US&state_code=IL")
    assert body["jurisdictions"] == ["bipa"]


async def test_the_network_says_which_law_a_grant_must_meet(with_atlas, person, admin) -> None:
    ann = person()
    ann.headers.update({"X-Forwarded-For": ILLINOIS})
    refused = await ann.agree(jurisdiction="gdpr")
    assert (refused.status_code, refused.json()["jurisdiction"]) == (409, "bipa")
    # At home in Germany, travelling in Illinois: the stricter text counts, for both places.
    consent = await ann.agree(jurisdiction="bipa", country_code="DE")
    assert (consent.status_code, consent.json()["jurisdictions"]) == (201, ["bipa", "gdpr"])
    [entry] = await admin.fetch("SELECT * FROM consent.entries")
    assert (entry["country"], entry["source"], entry["ip_address"]) == ("DE", "device", ILLINOIS)
    assert entry["resolved_jurisdictions"] == ["bipa", "gdpr"]


async def test_J03_the_address_of_an_upload_shows_that_somebody_has_moved(  # noqa: N802
    with_atlas, person, ask
) -> None:
    ann = person()
    ann.headers.update({"X-Forwarded-For": GERMANY})
    assert (await ann.agree()).status_code == 201
    for address, law in ((GERMANY, None), (ILLINOIS, "bipa"), (f"{ILLINOIS}:443", "bipa"), ("unknown", None)):
        told = (await ask(ann.id, place={"address": address})).json()
        assert (told["granted"], told["stricter_jurisdiction"]) == (True, law)
    ann.headers.update({"X-Forwarded-For": ILLINOIS})
    assert (await ann.call("GET", "/consent/biometric-status")).json()["has_consent"] is False


@pytest.mark.parametrize(
    ("spelled", "kept"),
    [
        ("::ffff:192.0.2.7", ILLINOIS),
        ("192.0.2.7:4711", ILLINOIS),
        ("[2001:DB8:0::1]:443", "2001:db8::1"),
        ("fe80::1%" + "eth0" * 20, "fe80::1"),
        ("unknown", None),
    ],
)
async def test_an_address_is_kept_in_its_one_spelling_and_located_by_it(
    with_atlas, person, admin, spelled, kept
) -> None:
    ann = person()
    ann.headers.update({"X-Forwarded-For": spelled})
    assert (await ann.agree(jurisdiction="bipa")).status_code == 201
    [entry] = await admin.fetch("SELECT ip_address, source FROM consent.entries")
    assert tuple(entry) == (kept, "ip" if kept == ILLINOIS else "default")
