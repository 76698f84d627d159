from dataclasses import replace

import pytest

from chassis.service_auth import ServiceTokens
from consent.main import install
from consent.policy import Place

ILLINOIS, GERMANY = "192.0.2.7", "203.0.113.7"


class Atlas:
    """Knows the places of a few addresses."""

    def locate(self, address: str | None) -> Place | None:
        return {ILLINOIS: Place("US", "IL"), GERMANY: Place("DE", None)}.get(address or "")

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
def forwarded(app, service, issuer, client, platform):
    install(app, replace(service, geography=Atlas()))
    app.state.access_tokens = issuer.verifier

    async def get(address: str, *, by: str | None = "gateway", audience: str = "consent", query: str = ""):
        headers = {"X-Forwarded-For": address}
        if by is not None:
            key = platform.servers.values[f"{by.upper()}_SERVICE_KEY"].replace("\\n", "\n")
            headers["X-Service-Token"] = ServiceTokens(by, private_key=key, public_keys={}).issue(audience)
        answer = await client.get(f"/api/v1/privacy/jurisdiction{query}", headers=headers)
        assert answer.status_code == 200
        return answer.json()

    return get


async def test_the_address_that_the_gateway_forwards_decides(forwarded) -> None:
    body = await forwarded(ILLINOIS)
    assert (body["jurisdiction"], body["source"]) == ("bipa", "ip")
    assert (body["detected_country"], body["detected_region"]) == ("US", "IL")


@pytest.mark.parametrize(
    "proof", [{"by": None}, {"by": "storage"}, {"by": "gateway", "audience": "identity"}]
)
async def test_nobody_but_the_gateway_can_say_where_a_client_is(forwarded, proof) -> None:
    body = await forwarded(ILLINOIS, **proof)
    assert (body["jurisdiction"], body["source"]) == ("generic", "default")


async def test_what_the_device_says_leads_and_its_network_adds(forwarded) -> None:
    body = await forwarded(GERMANY, query="?country_code=US&state_code=IL")
    assert body["jurisdictions"] == ["bipa", "gdpr"]
    assert (body["detected_country"], body["source"]) == ("US", "device")
    assert body["retention_days"] == 365


async def test_no_network_lowers_what_the_device_says(forwarded) -> None:
    body = await forwarded("198.51.100.1", query="?country_code=US&state_code=IL")
    assert body["jurisdictions"] == ["bipa"]
