"""Identity's routes, by what a person or a service does with them."""

from identity.api import (
    account,
    deletion_pages,
    erasures,
    holds,
    internal,
    jwks,
    mail_links,
    passkeys,
    providers,
    sessions,
    sign_in,
)

ROUTERS = (
    sign_in.router,
    providers.router,
    passkeys.router,
    mail_links.router,
    sessions.router,
    account.router,
    deletion_pages.router,
    erasures.router,
    holds.router,
    jwks.router,
    internal.router,
)

__all__ = ["ROUTERS"]
