import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.headers import (
    TrustedHeaders,
    client_address,
    forwarded_answer_headers,
    forwarded_request_headers,
)

OWN = TrustedHeaders(
    client="198.51.100.7",
    scheme="https",
    request_id="request-1",
    traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    service_token="token",
)
TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def forwarded(*headers: tuple[bytes, bytes]) -> list[tuple[str, str]]:
    return forwarded_request_headers(headers, OWN)


def names(headers: list[tuple[str, str]]) -> list[str]:
    return [name.lower() for name, _ in headers]


def test_header_named_by_connection_is_dropped_whatever_its_case() -> None:
    passed = forwarded((b"Connection", b"close, X-Hop ,,"), (b"x-hop", b"1"), (b"x-stays", b"2"))
    assert "x-hop" not in names(passed)
    assert ("x-stays", "2") in passed


@given(
    name=st.sampled_from(
        ["X-Forwarded-For", "x-forwarded-proto", "X-FORWARDED-HOST", "x-forwarded-anything", "Forwarded",
         "X-Request-ID", "traceparent", "X-Service-Token", "Host", "Transfer-Encoding", "Expect"]
    ),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)  # fmt: skip
def test_claims_of_a_client_never_reach_a_service(name: str, value: str) -> None:
    passed = forwarded((name.encode(), value.encode()))
    assert passed == forwarded()


def test_each_own_word_is_said_once() -> None:
    passed = names(forwarded((b"accept", b"*/*")))
    assert passed.count("x-forwarded-for") == 1
    assert passed.count("x-request-id") == 1
    assert passed.count("traceparent") == 1


def test_answers_lose_what_concerns_the_inner_connection_only() -> None:
    inner = [
        (b"Server", b"uvicorn"),
        (b"Date", b"now"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Request-ID", b"inner"),
        (b"Content-Type", b"text/plain"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
    ]
    assert forwarded_answer_headers(inner, status=200) == [
        (b"content-type", b"text/plain"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]


@pytest.mark.parametrize(("status", "kept"), [(200, True), (204, False), (304, False)])
def test_length_is_kept_only_where_a_body_follows(status: int, kept: bool) -> None:
    headers = forwarded_answer_headers([(b"Content-Length", b"3")], status=status)
    assert bool(headers) is kept


@pytest.mark.parametrize(
    ("peer", "written", "expected"),
    [
        ("203.0.113.5", "1.2.3.4", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("unknown", "1.2.3.4", "unknown"),
        ("10.0.0.1", "1.2.3.4:4711", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, [2001:DB8::7]:4711, 10.9.9.9:80", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
    ],
)
def test_forwarded_addresses_are_believed_as_far_as_trusted_proxies_wrote_them(
    peer: str, written: str, expected: str
) -> None:
    headers = [(b"X-Forwarded-For", written.encode())] if written else []
    scope = {"client": (peer, 4711), "headers": headers}
    assert client_address(scope, TRUSTED) == expected
    assert client_address(scope, ()) == peer.removeprefix("::ffff:")
