"""Errors as RFC 9457 problem documents that never echo what was sent."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from chassis.context import request_id

PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:irisvue:problem:"

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


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
