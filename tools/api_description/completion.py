"""What the door adds to each operation: its own answers, headers, types of problems, tags and examples."""

import re
from collections.abc import Iterable, Iterator

from api_description.merging import Document, shape
from chassis.counters import QuotaExceeded
from chassis.examples import Examples
from chassis.health import NotHealthy
from chassis.openapi import leave_out_bodies, problems
from chassis.problems import PROBLEM_JSON, PROBLEM_TYPE_PREFIX, NotFound, Problem
from gateway import problems as own
from gateway.routes import Access, Route

_DESCRIPTION = (
    "Everything the app can ask, through one address. Errors are problem documents (RFC 9457) that carry "
    "`detail` as a sentence for the person; switch on their `type`. Times are RFC 3339 in UTC. Answers tell "
    "what is left of a limit in `RateLimit` (draft-ietf-httpapi-ratelimit-headers), and 429 and 503 tell in "
    "`Retry-After` when to ask again. A known address with another method is 405 with `Allow`."
)
_TAGS = {
    "consent": "What a person has agreed to, under which law and text.",
    "erasure": "How far the erasure of a person has come.",
    "operations": "What officers of the platform do: what must not be erased yet, why and until when.",
    "health": "Whether the platform and its parts answer.",
    "identity": "Accounts, ways to sign in, and sessions.",
    "storage": "Photographs: upload, show, delete.",
}
_HEADERS = {
    "RateLimit": ("string", '"user";r=599;t=60', "What is left of the limit that counted this request."),
    "RateLimit-Policy": ("string", '"user";q=600;w=60', "That limit: how many, in how many seconds."),
    "Retry-After": ("integer", 5, "In how many seconds to ask again."),
    "WWW-Authenticate": (
        "string",
        'Bearer error="invalid_token"',
        "Tells no token from a bad one.",
    ),
    "X-Request-ID": ("string", "01a218a0-8356-74f5-b207-f1053475fe76", "Names the request, for support."),
}
_SLUG = re.compile(r"\(`([a-z0-9-]+)`\)")
_ALWAYS = (
    own.BadRequest,
    QuotaExceeded,
    own.TooManyAtOnce,
    own.UpstreamBroken,
    own.Overloaded,
    own.UpstreamTimeout,
)
_BY_ACCESS: dict[Access, tuple[type[Problem], ...]] = {
    Access.OPEN: (),
    Access.BEARER: (own.RevocationsUnknown,),
    Access.LINK: (own.LinkRefused, own.LinkGone, own.RevocationsUnknown),
}
_OWN_PROBLEMS: dict[str, tuple[type[Problem], ...]] = {
    "dependencies": (NotHealthy,),
    "readiness": (NotHealthy,),
    "part_health": (NotFound, NotHealthy),
}


def complete(document: Document, routes: Iterable[Route]) -> Document:
    """Return `document` with what the gateway answers and adds itself."""
    by_place = {(route.method, shape(route.path)): route for route in routes}
    for method, path, operation in _operations(document):
        route = by_place.get((method, shape(path)))
        _add_answers(operation, route)
        if method == "HEAD":
            leave_out_bodies(operation)
        _add_headers(operation, limited=route is not None)
    document["info"] |= {
        "description": _DESCRIPTION,
        "contact": {"name": "IrisVue"},
        "license": {"name": "Proprietary"},
    }
    document["servers"] = [{"url": "/"}]
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    components = document["components"]
    components["headers"] = {
        name: {"schema": {"type": kind}, "example": example, "description": text}
        for name, (kind, example, text) in _HEADERS.items()
    }
    components["schemas"]["ProblemDocument"]["properties"]["type"]["enum"] = _problem_types(document)
    Examples(document).add_to(operation for _, _, operation in _operations(document))
    return document


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def _add_answers(operation: Document, route: Route | None) -> None:
    responses = operation["responses"]
    if route is None:
        # Of what the framework says about its own operations nothing but success can happen.
        operation["security"] = []
        for status in [status for status in responses if not status.startswith("2")]:
            del responses[status]
        kinds = _OWN_PROBLEMS.get(operation["operationId"], ())
    else:
        late = (own.RequestTimeout,) if "requestBody" in operation else ()
        kinds = (*_ALWAYS, *_BY_ACCESS[route.access], *late)
    for status, added in problems(*kinds).items():
        known = responses.get(str(status), {}).get("description", "").split("; ")
        told = dict.fromkeys([*filter(None, known), *added["description"].split("; ")])
        responses[str(status)] = {**added, "description": "; ".join(told)}
    operation["responses"] = dict(sorted(responses.items()))


def _add_headers(operation: Document, *, limited: bool) -> None:
    for status, response in operation["responses"].items():
        names = ["X-Request-ID"]
        if limited:
            names += ["RateLimit", "RateLimit-Policy"]
        if status in ("429", "503"):
            names.append("Retry-After")
        if status == "401":
            names.append("WWW-Authenticate")
        added = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        response["headers"] = {**response.get("headers", {}), **added}


def _problem_types(document: Document) -> list[str]:
    slugs = {
        slug
        for _, _, operation in _operations(document)
        for response in operation["responses"].values()
        if PROBLEM_JSON in response.get("content", {})
        for slug in _SLUG.findall(response["description"])
    }
    return sorted(PROBLEM_TYPE_PREFIX + slug for slug in slugs)
