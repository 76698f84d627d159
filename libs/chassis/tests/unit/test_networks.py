"""One client is one key, however its address is spelled; what is no address shares one key."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.networks import UNREADABLE, client_key, normalised, wider_key

IPV4 = st.ip_addresses(v=4)
IPV6 = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda address: address.ipv4_mapped is None)
PORTS = st.integers(0, 65535)
ZONES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)


def keys(address: str) -> tuple[str, str]:
    return client_key(address), wider_key(address)


@given(IPV4, PORTS)
def test_ipv4_address_counts_alone_in_every_spelling(address: IPv4Address, port: int) -> None:
    expected = (f"{address}/32",) * 2
    mapped = IPv6Address(b"\0" * 10 + b"\xff" * 2 + address.packed)
    spellings = [
        f"{address}",
        f" {address} ",
        f"{address}:{port}",
        f"::ffff:{address}",
        f"[::ffff:{address}]:{port}",
        f"::FFFF:{address}",
        str(mapped),
        mapped.exploded,
        f"[{mapped.exploded}]:{port}",
    ]
    assert {keys(spelling) for spelling in spellings} == {expected}


@given(IPV6, PORTS, ZONES)
def test_ipv6_address_counts_with_its_network_in_every_spelling(
    address: IPv6Address, port: int, zone: str
) -> None:
    expected = (
        str(ip_network((address, 64), strict=False)),
        str(ip_network((address, 48), strict=False)),
    )
    spellings = [
        str(address),
        str(address).upper(),
        address.exploded,
        f"[{address}]",
        f"[{address}]:{port}",
        f"{address}%{zone}",
        f"[{address.exploded}%{zone}]:{port}",
    ]
    assert {keys(spelling) for spelling in spellings} == {expected}


@given(IPV6, st.integers(0, 2**64 - 1), st.integers(0, 2**80 - 1))
def test_whoever_changes_the_end_of_an_ipv6_address_stays_the_same_client(
    address: IPv6Address, end: int, longer_end: int
) -> None:
    neighbour = IPv6Address((int(address) >> 64 << 64) | end)
    same_site = IPv6Address((int(address) >> 80 << 80) | longer_end)
    if neighbour.ipv4_mapped is None:
        assert client_key(str(neighbour)) == client_key(str(address))
    if same_site.ipv4_mapped is None:
        assert wider_key(str(same_site)) == wider_key(str(address))


@given(IPV4, IPV4)
def test_two_ipv4_addresses_are_two_clients(one: IPv4Address, another: IPv4Address) -> None:
    assert (client_key(str(one)) == client_key(str(another))) == (one == another)


@given(st.text())
def test_any_text_has_a_key_and_what_is_no_address_has_the_same_one(text: str) -> None:
    expected = UNREADABLE if normalised(text) is None else client_key(str(normalised(text)))
    assert client_key(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4/8",
        "01.2.3.4",
        "[",
        "[]",
        ":",
        ":80",
        "1::2::3",
        "%",
    ],
)
def test_what_is_no_address_is_unreadable(text: str) -> None:
    assert keys(text) == (UNREADABLE, UNREADABLE)


def test_keys_look_like_networks() -> None:
    assert keys("203.0.113.7") == ("203.0.113.7/32", "203.0.113.7/32")
    assert keys("2001:db8:1:2:3:4:5:6") == ("2001:db8:1:2::/64", "2001:db8:1::/48")
    assert normalised("[::ffff:203.0.113.7]:443") == ip_address("203.0.113.7")
