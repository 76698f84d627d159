"""`make geoip` with a real database of places, and what consent makes of addresses with it."""

from pathlib import Path

import httpx2
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from chassis.service_auth import GATEWAY_TOKEN_HEADER
from cluster import env_file, geoip
from cluster.layout import Layout
from support.api_process import api_process
from support.platform import Platform


@pytest.fixture
def chosen(tmp_path: Path) -> str:
    """Return the path that `make geoip` wrote for a database; its networks are RFC 5737's and 3849's."""
    places = MMDBWriter(6, "Test-City", ipv4_compatible=True)
    places.insert_network(IPSet(["192.0.2.0/24", "2001:db8::/32"]), {"country": {"iso_code": "DE"}})
    illinois = {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "IL"}]}
    places.insert_network(IPSet(["198.51.100.0/24"]), illinois)
    places.to_db_file(str(tmp_path / "places.mmdb"))
    env_file.ensure(tmp_path / ".env")
    layout = Layout(tmp_path, tmp_path, tmp_path / "var")
    geoip.use(layout, tmp_path / "places.mmdb")
    return env_file.load(layout.env_file)[geoip.VARIABLE]


async def test_consent_finds_the_law_by_the_address(platform: Platform, chosen: str) -> None:
    found = {}
    async with (
        api_process(platform, "consent", CONSENT_GEOIP_DB_PATH=chosen) as api,
        httpx2.AsyncClient(base_url=api.url) as http,
    ):
        for address in ("192.0.2.7", "2001:db8::7", "198.51.100.7", "203.0.113.7"):
            headers = {GATEWAY_TOKEN_HEADER: api.proof(), "X-Forwarded-For": address}
            told = (await http.get("/api/v1/privacy/jurisdiction", headers=headers)).json()
            names = ("jurisdiction", "detected_country", "detected_region", "source")
            found[address] = tuple(told[name] for name in names)

    assert found == {
        "192.0.2.7": ("gdpr", "DE", None, "ip"),
        "2001:db8::7": ("gdpr", "DE", None, "ip"),
        "198.51.100.7": ("bipa", "US", "IL", "ip"),
        "203.0.113.7": ("generic", None, None, "default"),
    }
