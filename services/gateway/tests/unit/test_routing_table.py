import pytest

from chassis.problems import NotFound
from gateway.problems import MethodNotAllowed
from gateway.routes import (
    BODY_LIMIT,
    ROUTES,
    Access,
    Ends,
    Moved,
    RateClass,
    Route,
    RoutingTable,
    Upstream,
    with_photos_of,
)

TABLE = RoutingTable(ROUTES)
PHOTO = "019ab0c4-1000-7001-8001-0000316edc57"


def route(method: str, path: str) -> Route:
    return TABLE.find(method, path)


def test_literal_path_wins_over_a_parameter() -> None:
    assert route("POST", "/api/v1/photos/upload").path == "/api/v1/photos/upload"
    assert route("GET", f"/api/v1/photos/{PHOTO}").path.startswith("/api/v1/photos/{")


def test_every_route_is_found_under_its_own_path() -> None:
    for expected in ROUTES:
        path = expected.path.replace("{tile_number}", "x001/x234/067.p/16")
        filled = "/".join("value-1" if part.startswith("{") else part for part in path.split("/"))
        assert route(expected.method, filled) is expected


@pytest.mark.parametrize(
    "parameter", ["..", ".", "a/b", "a%2fb", "%2e%2e", "a b", "a\\b", "a;b", "a:b", "ä", "a" * 129, "a\n"]
)
def test_parameters_carry_nothing_but_ids_and_codes(parameter: str) -> None:
    with pytest.raises(NotFound):
        route("GET", f"/api/v1/photos/{parameter}")


@pytest.mark.parametrize("path", ["/api/v1/photos", f"/api/v1/photos/{PHOTO}", "/.well-known/jwks.json"])
def test_slash_too_many_names_the_right_address(path: str) -> None:
    with pytest.raises(Moved) as caught:
        route("GET", f"{path}/")
    assert caught.value.path == path


def test_unknown_method_names_all_known_ones() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        route("PATCH", f"/api/v1/photos/{PHOTO}")
    assert caught.value.headers["Allow"] == "DELETE, GET"


def test_methods_are_told_apart_by_case() -> None:
    with pytest.raises(MethodNotAllowed):
        route("get", f"/api/v1/photos/{PHOTO}")


def test_same_operation_twice_is_refused() -> None:
    twice = Route("GET", "/x", Upstream.CONSENT, Access.OPEN, RateClass.PUBLIC)
    with pytest.raises(ValueError, match="twice"):
        RoutingTable([twice, twice])


def test_nothing_internal_is_in_the_table() -> None:
    for each in ROUTES:
        assert each.path.startswith(("/api/v1/", "/.well-known/"))
        assert "internal" not in each.path
        assert "openapi" not in each.path


def test_open_routes_are_exactly_those_that_the_api_leaves_open() -> None:
    assert {(each.method, each.path) for each in ROUTES if each.access is Access.OPEN} == {
        ("POST", "/api/v1/auth/register"),
        ("GET", "/api/v1/auth/request-deletion"),
        ("POST", "/api/v1/auth/request-deletion"),
        ("GET", "/api/v1/auth/confirm-deletion"),
        ("POST", "/api/v1/auth/confirm-deletion"),
        ("POST", "/api/v1/auth/login"),
        ("POST", "/api/v1/auth/login/json"),
        ("POST", "/api/v1/auth/apple"),
        ("POST", "/api/v1/auth/apple/notifications"),
        ("POST", "/api/v1/auth/google"),
        ("POST", "/api/v1/auth/refresh"),
        ("POST", "/api/v1/auth/passkeys/authentication/options"),
        ("POST", "/api/v1/auth/passkeys/authentication/verify"),
        ("GET", "/api/v1/auth/verify-email"),
        ("POST", "/api/v1/auth/verify-email"),
        ("POST", "/api/v1/auth/decline-address"),
        ("GET", "/api/v1/auth/cancel-deletion"),
        ("POST", "/api/v1/auth/cancel-deletion"),
        ("POST", "/api/v1/auth/request-password-reset"),
        ("GET", "/api/v1/auth/reset-password"),
        ("POST", "/api/v1/auth/reset-password"),
        ("GET", "/api/v1/privacy/erasures/{erasure_id}"),
        ("GET", "/api/v1/privacy/erasures/{erasure_id}/certificate"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/api/v1/privacy/jurisdiction"),
        ("GET", "/api/v1/privacy/consent-texts/{jurisdiction}/{consent_type}"),
        ("GET", "/api/v1/privacy/retention-schedule"),
        ("GET", "/api/v1/privacy/ledger/checkpoint"),
        ("GET", "/api/v1/privacy/ledger/checkpoint.jws"),
        ("GET", "/api/v1/privacy/ledger/tile/{level}/{tile_number}"),
        ("GET", "/api/v1/privacy/ledger/anchors/{digest}"),
        ("OPTIONS", "/api/v1/photos/uploads"),
    }


def test_g71_receipt_is_behind_a_token() -> None:
    found = route("GET", f"/api/v1/privacy/consent/{PHOTO}/receipt")
    assert (found.upstream, found.access, found.rate) == (
        Upstream.CONSENT,
        Access.BEARER,
        RateClass.USER,
    )


@pytest.mark.parametrize("number", ["000", "067.p/1", "x001/067", "x001/x234/067.p/255"])
def test_k35_number_of_a_tile_may_be_a_path(number: str) -> None:
    assert route("GET", f"/api/v1/privacy/ledger/tile/0/{number}").path.endswith("{tile_number}")


@pytest.mark.parametrize(
    "number", ["0", "../067", "x001/%2e%2e/067", "001/067", "067.p", "067.p/", "067/x001", "x001"]
)
def test_k35_no_other_path_may_be_the_number_of_a_tile(number: str) -> None:
    with pytest.raises(NotFound):
        route("GET", f"/api/v1/privacy/ledger/tile/0/{number}")


def test_links_are_exactly_the_bytes_of_photos_and_archives() -> None:
    assert {(each.method, each.path) for each in ROUTES if each.access is Access.LINK} == {
        ("HEAD", "/api/v1/photos/uploads/{photo_id}"),
        ("PATCH", "/api/v1/photos/uploads/{photo_id}"),
        ("DELETE", "/api/v1/photos/uploads/{photo_id}"),
        ("PUT", "/api/v1/photos/{photo_id}/content"),
        ("GET", "/api/v1/photos/{photo_id}/content"),
        ("HEAD", "/api/v1/photos/{photo_id}/content"),
        ("GET", "/api/v1/photos/{photo_id}/thumbnail"),
        ("HEAD", "/api/v1/photos/{photo_id}/thumbnail"),
        ("GET", "/api/v1/privacy/data-export/{export_id}/archive"),
    }


def test_what_ends_sessions_is_marked() -> None:
    assert {(each.method, each.path): each.ends for each in ROUTES if each.ends is not None} == {
        ("POST", "/api/v1/auth/logout"): Ends.SESSION,
        ("POST", "/api/v1/auth/logout-all"): Ends.ALL_SESSIONS,
        ("DELETE", "/api/v1/auth/sessions/{session_id}"): Ends.NAMED_SESSION,
        ("DELETE", "/api/v1/users/me"): Ends.ALL_SESSIONS,
    }


def test_open_routes_are_counted_per_address_and_others_per_person() -> None:
    per_person = {RateClass.USER, RateClass.UPLOAD}
    for each in ROUTES:
        assert (each.rate in per_person) == (each.access is Access.BEARER), each


def test_only_photo_bytes_may_be_large() -> None:
    routes = with_photos_of(25_000_000)
    large = {
        (route.method, route.path): route.body_limit for route in routes if route.body_limit > BODY_LIMIT
    }
    assert large == {
        ("PUT", "/api/v1/photos/{photo_id}/content"): 25_000_000,
        ("POST", "/api/v1/photos/uploads"): 25_000_000,
        ("PATCH", "/api/v1/photos/uploads/{photo_id}"): 25_000_000,
    }
