"""What every service asks identity, which issues access tokens and coordinates erasures."""

from typing import TYPE_CHECKING

from chassis.erasure import ListOpenErasures
from chassis.reconcile import AsksIdentity, OpenErasures

if TYPE_CHECKING:
    from chassis.auth import FetchKeys


def keys_of_identity(opened: AsksIdentity) -> "FetchKeys":
    """Return what fetches the public keys of access tokens from their issuer."""
    return lambda: opened.identity.get("/.well-known/jwks.json")


def erasures_of_identity(opened: AsksIdentity) -> ListOpenErasures:
    """Return what lists the erasures that identity still waits for."""
    return OpenErasures(opened.identity)
