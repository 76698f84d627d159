"""Errors as RFC 9457 problem documents that never echo what was sent."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from chassis.context import request_id
from chassis.faults import is_transient
from chassis.field_errors import UNKNOWN, declared_names, field_errors

PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:irisvue:problem:"
METHOD_NOT_ALLOWED = 405
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

log = structlog.get_logger(__name__)


class Problem(Exception):
    """An answer that says what is wrong; the app shows `detail`.

    A class names its `status` and `title`; its `slug`, by which clients know it, is its own name in small
    letters unless it says another one. A class without a title is a special case of the one that it extends.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"
    detail: str = (
        "The request was not carried out. Try again; if it keeps failing, tell support the request id."
    )
    headers: Mapping[str, str] = {}

    def __init_subclass__(
        cls, *, status: int | None = None, slug: str | None = None, title: str | None = None
    ) -> None:
        super().__init_subclass__()
        if status is not None:
            cls.status = status
        if title is not None:
            cls.title, cls.slug = title, slug or _CAPITAL.sub("-", cls.__name__).lower()

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if detail is not None:
            self.detail = detail
        if headers is not None:
            self.headers = {**self.headers, **headers}
        self.extra: Mapping[str, Any] = extra or {}
        super().__init__(self.detail)

    def document(self) -> dict[str, Any]:
        """Return the problem document (RFC 9457 §3.1)."""
        return {
            "type": PROBLEM_TYPE_PREFIX + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:irisvue:request:{request_id.get() or 'unknown'}",
            **self.extra,
        }


class Unauthorized(Problem, status=401, title="Not signed in"):
    """The caller did not prove who they are."""

    detail = "Sign in again: the access token is missing, expired or no longer valid."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class InvalidToken(Unauthorized):
    """The caller sent a token that is none, or none any more (RFC 6750 §3.1)."""

    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class PersonErased(Problem, status=401, slug="account-deleted", title="This account was deleted"):
    """The person asked to be erased; nothing may be written about them any more."""

    detail = "The account was deleted at its owner's request. Register again to start anew."
    headers = InvalidToken.headers


class Forbidden(Problem, status=403, title="Not allowed"):
    """The caller is known and may not do this."""

    detail = "This caller may not use this operation."


class NotFound(Problem, status=404, title="Not found"):
    """Nothing of the caller's is there."""

    detail = "There is nothing at this address, or it is not yours."


class ServiceUnavailable(Problem, status=503, title="Temporarily unavailable"):
    """A part that the answer needs can't answer now; nothing was changed."""

    detail = "A part of the service is not answering. Nothing was changed; try again shortly."
    headers: Mapping[str, str] = {"Retry-After": "5"}


class InvalidRequest(Problem, status=422, title="The request is not valid"):
    """The input does not have the form that the API describes."""

    detail = "The request is not valid."


class ContentTooLarge(Problem, status=413, title="The body is too large"):
    """The body has more bytes than the operation takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body may have at most {limit} bytes here.", extra={"limit": limit})


class _HttpProblem(Problem):
    """An error that the web framework raised by itself: unknown path, wrong method, unreadable body."""

    def __init__(self, error: HTTPException) -> None:
        super().__init__(_HTTP_DETAILS.get(error.status_code, "The request can't be answered."))
        self._error = error
        self.headers = error.headers or {}

    def document(self) -> dict[str, Any]:
        status = self._error.status_code
        slug, title = _HTTP_KINDS.get(status, ("http-error", "The request can't be answered"))
        return {**super().document(), "type": PROBLEM_TYPE_PREFIX + slug, "title": title, "status": status}


_HTTP_KINDS = {
    400: ("bad-request", "The request can't be read"),
    401: ("unauthorized", "Not signed in"),
    403: ("forbidden", "Not allowed"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
}
_HTTP_DETAILS = {
    400: "The request can't be read. Check its form and its encoding.",
    404: NotFound.detail,
    405: "This address exists but does not take this method; the Allow header says which it takes.",
}


def problem_response(problem: Problem) -> Response:
    """Return the HTTP answer that carries `problem`."""
    document = problem.document()
    return JSONResponse(
        document, status_code=document["status"], headers=dict(problem.headers), media_type=PROBLEM_JSON
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class only
    return problem_response(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    # What our own code raises by way of the framework says itself what is wrong.
    problem = error.__cause__ if isinstance(error.__cause__, Problem) else _HttpProblem(error)
    if error.status_code == METHOD_NOT_ALLOWED:
        # The framework names the methods of one route only, though several may share an address.
        problem.headers = {**problem.headers, "Allow": ", ".join(_methods_at(request))}
    return problem_response(problem)


def _methods_at(request: Request) -> list[str]:
    routes: Sequence[BaseRoute] = request.app.routes
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    complaints = field_errors(
        error,
        declared_names(request.scope.get("route")),
        content_type=request.headers.get("Content-Type", ""),
    )
    names = sorted({complaint["field"] for complaint in complaints} - {"", UNKNOWN})
    named = ", ".join(names) or "the body"
    problem = InvalidRequest(
        f"Please check: {named}. {complaints[0]['message']}", extra={"errors": complaints}
    )
    return problem_response(problem)


def unexpected_error_response(error: Exception) -> Response:
    """Answer 503 for a fault that passes, else 500; the log gets the error's class, never its message."""
    if is_transient(error):
        log.warning("dependency_unavailable", error=type(error).__name__)
        return problem_response(ServiceUnavailable())
    log.error("unexpected_error", error=describe(error))
    return problem_response(Problem())


def describe(error: BaseException) -> str:
    """Return the class and the innermost place of `error`, without its message, which may quote data."""
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(describe(part) for part in error.exceptions)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    code = trace.tb_frame.f_code
    return (
        f"{type(error).__name__} in {code.co_name} ({code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno})"
    )
