import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pytest

from consent.geography import Geography
from consent.jurisdictions import Place
from consent.rule_files import load_rulebook

RULEBOOK = load_rulebook()
NESTED = {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "IL"}]}
FLAT = {"country_code": "US", "state1": "Illinois"}


def encoded(value: object) -> bytes:
    """Encode a value as the MaxMind DB format (version 2.0) does; sizes below 29 are enough here."""
    if isinstance(value, str):
        return bytes([2 << 5 | len(value.encode())]) + value.encode()
    if isinstance(value, int):
        raw = value.to_bytes(4, "big").lstrip(b"\0")
        return bytes([6 << 5 | len(raw)]) + raw
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(map(encoded, value))
    assert isinstance(value, dict)
    items = b"".join(encoded(key) + encoded(item) for key, item in value.items())
    return bytes([7 << 5 | len(value)]) + items


def database(entries: dict[str, dict[str, object]], *, version: int = 4) -> bytes:
    """Build a database: a binary tree over address bits, then the records, then the metadata."""
    nodes: list[list[int | None]] = [[None, None]]
    data, places = b"", {}
    for cidr, record in entries.items():
        network = ip_network(cidr)
        assert isinstance(network, IPv4Network | IPv6Network)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        at = 0
        for bit in bits[:-1]:
            following = nodes[at][int(bit)]
            if following is None:
                nodes.append([None, None])
                following = nodes[at][int(bit)] = len(nodes) - 1
            at = following
        places[at, int(bits[-1])] = len(data)
        data += encoded(record)
    count = len(nodes)
    tree = b""
    for index, node in enumerate(nodes):
        for side, following in enumerate(node):
            target = places.get((index, side))
            value = following if following is not None else count
            tree += (count + 16 + target if target is not None else value).to_bytes(3, "big")
    metadata = {
        "node_count": count,
        "record_size": 24,
        "ip_version": version,
        "database_type": "test",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1,
        "description": {"en": "test"},
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(metadata)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "geo.mmdb"
    path.write_bytes(
        database(
            {
                "192.0.2.0/24": NESTED,
                "198.51.100.0/24": FLAT,
                "203.0.113.0/25": {"country": {"iso_code": "DE"}},
                "203.0.113.128/25": {"continent": "EU"},
            }
        )
    )
    return path


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", Place("US", "IL")),
        ("198.51.100.7", Place("US", "IL")),
        ("203.0.113.7", Place("DE", None)),
        ("203.0.113.200", None),
        ("127.0.0.1", None),
        ("2001:db8::1", None),
        ("not an address", None),
        ("192.0.2.7, 10.0.0.1", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_where_the_database_says(file: Path, address: str | None, place: Place | None) -> None:
    geography = Geography(file, RULEBOOK)
    assert geography.locate(address) == place
    geography.close()


def test_a_region_that_no_code_stands_for_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "geo.mmdb"
    path.write_bytes(database({"192.0.2.0/24": {"country_code": "DE", "state1": "North Rhine-Westphalia"}}))
    geography = Geography(path, RULEBOOK)
    assert geography.locate("192.0.2.1") == Place("DE", None)
    geography.close()


def test_without_a_database_nothing_is_known() -> None:
    assert Geography(None, RULEBOOK).locate("192.0.2.7") is None


def test_a_replaced_database_answers_at_the_next_question(file: Path) -> None:
    geography = Geography(file, RULEBOOK)
    new = file.with_suffix(".new")
    new.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "FR"}}}))
    new.replace(file)
    assert geography.locate("192.0.2.7") == Place("FR", None)
    geography.close()


@pytest.mark.parametrize("damage", [b"half a file", None])
def test_a_damaged_or_missing_database_leaves_the_old_one_answering(file: Path, damage: bytes | None) -> None:
    geography = Geography(file, RULEBOOK)
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
        os.utime(file, ns=(1, 1))
    assert geography.locate("192.0.2.7") == Place("US", "IL")
    geography.close()


def test_a_path_without_a_database_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Geography(tmp_path / "missing.mmdb", RULEBOOK)
