"""What the gateway itself may answer instead of a service."""

from collections.abc import Iterable, Mapping

from chassis.problems import Problem


class BadRequest(Problem):
    """The request line or a header can't be forwarded."""

    status = 400
    slug = "bad-request"
    title = "The request can't be read"
    detail = "The request can't be read. Check its address and its headers."


class LinkGone(Problem):
    """The session that a link was handed to has ended."""

    status = 410
    slug = "link-gone"
    title = "This link is over"
    detail = "The session that asked for this link has ended. Sign in and ask for a new one."


class LinkRefused(Problem):
    """The link was never issued in this form."""

    status = 403
    slug = "link-refused"
    title = "This link is not valid"
    detail = "The link was changed or is not meant for this. Ask for a new one."


class MethodNotAllowed(Problem):
    """The address exists, for other methods."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not allowed"
    detail = "This address exists but does not take this method; the Allow header says which it takes."

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__(headers={"Allow": ", ".join(sorted(allowed))})


class RequestTimeout(Problem):
    """The client did not deliver its body in time."""

    status = 408
    slug = "request-timeout"
    title = "The request took too long to arrive"
    detail = "The body arrived too slowly, or not at all. Send it again over a better connection."


class PhotoTooLarge(Problem):
    """The photo has more bytes than are accepted; storage says the same."""

    status = 413
    slug = "photo-too-large"
    title = "The photo is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A photo may have at most {limit} bytes.", extra={"limit": limit})


class UnsupportedEncoding(Problem):
    """The body is compressed."""

    status = 415
    slug = "unsupported-encoding"
    title = "The body is compressed"
    detail = "The body has to be sent as it is, without Content-Encoding."
    headers: Mapping[str, str] = {"Accept-Encoding": "identity"}


class UpstreamBroken(Problem):
    """A service answered something that is not HTTP."""

    status = 502
    slug = "bad-gateway"
    title = "A part of the service answered wrongly"
    detail = "A part of the service gave an unusable answer. Whether the request took effect is unknown."


class Overloaded(Problem):
    """The gateway carries as many requests as it may."""

    status = 503
    slug = "overloaded"
    title = "Too busy"
    detail = "There are too many requests at once. Nothing was changed; try again shortly."
    headers: Mapping[str, str] = {"Retry-After": "2"}


class TooManyAtOnce(Problem):
    """The caller has as many requests running as one caller may."""

    status = 429
    slug = "too-many-at-once"
    title = "Too many requests at once"
    detail = "Too many of your requests are running at the same time. Wait until some of them are answered."
    headers: Mapping[str, str] = {"Retry-After": "2"}


class RevocationsUnknown(Problem):
    """Which sessions have ended is not known now, so nobody can be let in."""

    status = 503
    slug = "sessions-unverifiable"
    title = "Sign-in can't be checked now"
    detail = (
        "Whether your session is still valid can't be checked now. Nothing was changed; try again shortly."
    )
    headers: Mapping[str, str] = {"Retry-After": "5"}


class UpstreamTimeout(Problem):
    """A service did not answer within the route's deadline."""

    status = 504
    slug = "gateway-timeout"
    title = "No answer in time"
    detail = "A part of the service did not answer in time. Whether the request took effect is unknown."
    headers: Mapping[str, str] = {"Retry-After": "5"}
