"""Who may call a route: a person, a service, or only what the gateway lets through."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.auth import AccessTokens, Principal
from chassis.problems import Forbidden, Unauthorized
from chassis.service_auth import GATEWAY, GATEWAY_TOKEN_HEADER, ServiceTokens

_OPEN_PATHS = frozenset({"/health", "/openapi.json", "/.well-known/jwks.json"})
_OPEN_FOLDERS = ("/health/", "/internal/")
_service_bearer = HTTPBearer(auto_error=False, scheme_name="service", bearerFormat="JWT")


class _SignedIn(HTTPBearer):
    """The dependency of a route that asks who calls; one call where a scheme and its reader are two."""

    def __init__(self) -> None:
        super().__init__(
            scheme_name="HTTPBearer",
            auto_error=False,
            bearerFormat="JWT",
            description="An access token of /auth/login.",
        )

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]
        """Return whom the request's bearer token speaks for; the verifier is `app.state.access_tokens`.

        Raises `Unauthorized`.
        """
        credentials = await super().__call__(request)
        if credentials is None:
            raise Unauthorized
        verifier: AccessTokens = request.app.state.access_tokens
        return await verifier.verify(credentials.credentials)


current_principal = _SignedIn()
CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


def require_service(*callers: str) -> Callable[..., Awaitable[str]]:
    """Return a dependency that admits only `callers`; the verifier is `app.state.service_tokens`."""

    async def admitted(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_service_bearer)],
    ) -> str:
        if credentials is None:
            raise Unauthorized("This operation is for services of the platform.")
        tokens: ServiceTokens = request.app.state.service_tokens
        caller = tokens.verify(credentials.credentials)
        if caller not in callers:
            raise Forbidden
        return caller

    return admitted


class OnlyThroughGateway:
    """Middleware of a service: whoever is not the gateway gets no answer from a public route.

    Sessions end, limits count and addresses are believed at the gateway, so its service token is asked for
    beside the person's. Without it stay: health, what services ask each other (each of those routes names its
    callers), public keys and the description of the API. The verifier is `app.state.service_tokens`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; raises `Unauthorized` or `Forbidden`."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            _require_gateway(scope)
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


def _require_gateway(scope: Scope) -> None:
    proof = Headers(scope=scope).get(GATEWAY_TOKEN_HEADER)
    tokens: ServiceTokens | None = getattr(scope["app"].state, "service_tokens", None)
    if proof is None or tokens is None:
        raise Unauthorized("This service answers through the gateway only.")
    if tokens.verify(proof) != GATEWAY:
        raise Forbidden


def client_address(request: Request) -> str | None:
    """Return the address of the person's device: the gateway's word, without it the peer's.

    Only for public routes: nobody but the gateway reaches them.
    """
    forwarded = request.headers.get("X-Forwarded-For")
    return forwarded.strip() if forwarded else request.client.host if request.client else None
