"""Identity's routes, by what a person or a service does with them."""

from identity.api import account, erasures, internal, keys, sign_in

ROUTERS = (sign_in.router, account.router, erasures.router, keys.router, internal.router)

__all__ = ["ROUTERS"]
