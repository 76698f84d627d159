"""What every API's OpenAPI document shows: errors as they are, who may ask, and an example of everything."""

from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from chassis.examples import Examples, add_formats
from chassis.problems import PROBLEM_JSON, PROBLEM_TYPE_PREFIX, Problem, Unauthorized

Responses = dict[int | str, dict[str, Any]]


class FieldError(BaseModel):
    """What is wrong with one field; what was sent is never repeated."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=[PROBLEM_TYPE_PREFIX + "not-found"])
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = Field(description="A sentence for the person.")
    instance: str = Field(description="Names the request; quote it to support.")
    errors: list[FieldError] | None = Field(default=None, description="Only for invalid input, by field.")
    limit: int | None = Field(default=None, description="Only where too many bytes were sent: how many may.")


def problems(*kinds: type[Problem]) -> Responses:
    """Return the `responses=` of a route that can fail with these problems."""
    by_status: dict[int, list[type[Problem]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {"description": "; ".join(f"{kind.title} (`{kind.slug}`)" for kind in alike), **_content()}
        for status, alike in by_status.items()
    }


def example(shown: BaseModel | Any, *, status: int = 200) -> Responses:
    """Return the `responses=` of a route that shows what it gives: a model, or a value of JSON."""
    value = shown.model_dump(mode="json") if isinstance(shown, BaseModel) else shown
    return {status: {"content": {"application/json": {"example": value}}}}


def _content() -> dict[str, Any]:
    # Made anew each time: whoever completes one operation's answers must not write into those of all others.
    return {"content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}}


_ALWAYS: dict[str, str] = {
    "413": "The body is too large (`content-too-large`)",
    "422": "The request is not valid (`invalid-request`)",
    "500": "Something went wrong on our side (`internal-error`)",
    "503": "Temporarily unavailable (`service-unavailable`)",
}
_WITH_BODY: dict[str, str] = {"400": "The request can't be read (`bad-request`)"}
_WITH_LOCK: dict[str, str] = {"401": f"{Unauthorized.title} (`{Unauthorized.slug}`)"}


def document_problems(app: FastAPI) -> None:
    """Let the document of `app` show problem documents in place of the framework's errors, and examples."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            definition = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= definition.pop("$defs", {})
            schemas["ProblemDocument"] = definition
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            for schema in schemas.values():
                add_formats(schema)
            for operations in document["paths"].values():
                for method, operation in operations.items():
                    # Said of each operation, so that nobody takes a forgotten lock for an open door.
                    operation.setdefault("security", [])
                    _add_common_problems(operation)
                    if method == "head":
                        leave_out_bodies(operation)
                Examples(document).add_to(operations.values())
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_common_problems(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    body = _WITH_BODY if "requestBody" in operation else {}
    lock = _WITH_LOCK if operation["security"] else {}
    for status, description in (_ALWAYS | body | lock).items():
        # What the framework says by itself about a 422 shows another document than ours.
        own = PROBLEM_JSON in responses.get(status, {}).get("content", {})
        described = responses[status]["description"].split("; ") if own else []
        responses[status] = {"description": "; ".join(dict.fromkeys([*described, description])), **_content()}


def leave_out_bodies(operation: dict[str, Any]) -> None:
    """Let an operation answer nothing but headers, as HEAD does (RFC 9110 §9.3.2)."""
    for response in operation["responses"].values():
        response.pop("content", None)


def name_operation(route: APIRoute) -> str:
    """Return the operation's id: the name of its function, which client generators turn into a method."""
    return route.name
