"""How tests reach a service's own routes: with what the gateway sends along."""

from collections.abc import Awaitable, Callable
from typing import Any

from chassis.service_auth import GATEWAY, GATEWAY_TOKEN_HEADER, ServiceTokens

Proof = Callable[[], str]


def gateway_proof(private_key: str, service: str) -> Proof:
    """Return a function that makes the gateway's token for `service`, good when it is called."""
    tokens = ServiceTokens(GATEWAY, private_key=private_key.replace("\\n", "\n"), public_keys={})
    return lambda: tokens.issue(service)


def through_gateway(proof: Proof) -> dict[str, list[Callable[[Any], Awaitable[None]]]]:
    """Return the `event_hooks` of an HTTP client that says with each request that it is the gateway.

    A request that says something itself is left as it is.
    """

    async def add(request: Any) -> None:
        request.headers.setdefault(GATEWAY_TOKEN_HEADER, proof())

    return {"request": [add]}
