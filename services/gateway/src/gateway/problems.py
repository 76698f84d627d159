"""What the gateway itself may answer instead of a service."""

from collections.abc import Iterable, Mapping

from chassis.problems import Problem


class BadRequest(Problem, status=400, title="The request can't be read"):
    """The request line or a header can't be forwarded."""

    detail = "The request can't be read. Check its address and its headers."


class LinkGone(Problem, status=410, title="This link is over"):
    """The session that a link was handed to has ended."""

    detail = "The session that asked for this link has ended. Sign in and ask for a new one."


class LinkRefused(Problem, status=403, title="This link is not valid"):
    """The link was never issued in this form."""

    detail = "The link was changed or is not meant for this. Ask for a new one."


class MethodNotAllowed(Problem, status=405, title="Method not allowed"):
    """The address exists, for other methods."""

    detail = "This address exists but does not take this method; the Allow header says which it takes."

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__(headers={"Allow": ", ".join(sorted(allowed))})


class RequestTimeout(Problem, status=408, title="The request took too long to arrive"):
    """The client did not deliver its body in time."""

    detail = "The body arrived too slowly, or not at all. Send it again over a better connection."


class PhotoTooLarge(Problem, status=413, title="The photo is too large"):
    """The photo has more bytes than are accepted; storage says the same."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A photo may have at most {limit} bytes.", extra={"limit": limit})


class UnsupportedEncoding(Problem, status=415, title="The body is compressed"):
    """The body is compressed."""

    detail = "The body has to be sent as it is, without Content-Encoding."
    headers: Mapping[str, str] = {"Accept-Encoding": "identity"}


class UpstreamBroken(Problem, status=502, slug="bad-gateway", title="A part of the service answered wrongly"):
    """A service answered something that is not HTTP."""

    detail = "A part of the service gave an unusable answer. Whether the request took effect is unknown."


class Overloaded(Problem, status=503, title="Too busy"):
    """The gateway carries as many requests as it may."""

    detail = "There are too many requests at once. Nothing was changed; try again shortly."
    headers: Mapping[str, str] = {"Retry-After": "2"}


class TooManyAtOnce(Problem, status=429, title="Too many requests at once"):
    """The caller has as many requests running as one caller may."""

    detail = "Too many of your requests are running at the same time. Wait until some of them are answered."
    headers: Mapping[str, str] = {"Retry-After": "2"}


class RevocationsUnknown(
    Problem, status=503, slug="sessions-unverifiable", title="Sign-in can't be checked now"
):
    """Which sessions have ended is not known now, so nobody can be let in."""

    detail = (
        "Whether your session is still valid can't be checked now. Nothing was changed; try again shortly."
    )
    headers: Mapping[str, str] = {"Retry-After": "5"}


class UpstreamTimeout(Problem, status=504, slug="gateway-timeout", title="No answer in time"):
    """A service did not answer within the route's deadline."""

    detail = "A part of the service did not answer in time. Whether the request took effect is unknown."
    headers: Mapping[str, str] = {"Retry-After": "5"}
