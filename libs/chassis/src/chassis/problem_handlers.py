"""Every error that a framework raises by itself becomes a problem document, like our own."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from chassis.edge import problem_response
from chassis.field_errors import UNKNOWN, declared_names, field_errors
from chassis.problems import PROBLEM_TYPE_PREFIX, InvalidRequest, NotFound, Problem

METHOD_NOT_ALLOWED = 405
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


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
