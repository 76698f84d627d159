"""Addresses of clients as limits count them: one key per network, however the address is spelled."""

from ipaddress import IPv4Address, IPv6Address, ip_address

UNREADABLE = "unreadable"
"""The one key of everything that is no address: made-up spellings can't stretch a limit."""
_CLIENT_BITS = 64
_WIDER_BITS = 48


def normalised(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address that `address` spells, or None when it spells none.

    A port, brackets and a zone id are left away; an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is the
    IPv4 address.
    """
    try:
        found = ip_address(_without_port(address.strip()).partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def client_key(address: str) -> str:
    """Return the network that counts as one client: the IPv4 address, or the IPv6 /64.

    Whoever has one address of a /64 has all of them (RFC 6177 §2).
    """
    return _network(address, _CLIENT_BITS)


def wider_key(address: str) -> str:
    """Return the network of one subscriber or site: the IPv4 address, or the IPv6 /48 (RFC 6177 §2)."""
    return _network(address, _WIDER_BITS)


def _network(address: str, bits: int) -> str:
    found = normalised(address)
    if found is None:
        return UNREADABLE
    if isinstance(found, IPv4Address):
        return f"{found}/32"
    rest = 128 - bits
    return f"{IPv6Address(int(found) >> rest << rest)}/{bits}"


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    # One colon stands before a port; an IPv6 address has two or more.
    return address.partition(":")[0] if address.count(":") == 1 else address
