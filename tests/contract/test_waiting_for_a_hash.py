"""Whoever waits for a password's hash hears from identity, not from a gateway that has given it up."""

import pytest

from gateway.routes import ROUTES
from identity.settings import IdentitySettings

HASHING = ("register", "login", "login/json", "reset-password", "change-password")


@pytest.mark.parametrize("path", HASHING)
def test_the_gateway_waits_longer_than_a_hash_does(path: str) -> None:
    (route,) = (one for one in ROUTES if (one.method, one.path) == ("POST", f"/api/v1/auth/{path}"))
    assert route.deadline > IdentitySettings.model_fields["argon2_wait_seconds"].default + 1
