"""The headers of tus 1.0.0 on their way in and out of the routes, and how they are described."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute

from chassis.problems import InvalidRequest, Problem
from storage import schemas
from storage.models import Photo
from storage.parts import arrived
from storage.tus import (
    PIECE_TYPE,
    SPOKEN,
    VERSION,
    Checksum,
    VersionNotSpoken,
    read_metadata,
    written_date,
)
from storage.use_cases.request_upload import Wanted

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_VERSION_PARAMETER: dict[str, Any] = {
    "name": "Tus-Resumable",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "enum": [VERSION]},
    "description": "The version of the protocol.",
}


class TusRoute(APIRoute):
    """Asks of every request, and says with every answer, in which version of the protocol it is.

    Only the question for the versions needs to know none.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: set[str] | list[str] | None = None,
        openapi_extra: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if "OPTIONS" not in (methods or ()):
            openapi_extra = {**(openapi_extra or {}), "parameters": [_VERSION_PARAMETER]}
        super().__init__(path, endpoint, methods=methods, openapi_extra=openapi_extra, **options)

    def get_route_handler(self) -> Handler:
        """Return the handler of the framework, between the two headers."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
                    raise VersionNotSpoken
                answer = await handler(request)
            except Problem as problem:
                problem.headers = {**problem.headers, **SPOKEN}
                raise
            answer.headers.update(SPOKEN)
            return answer

        return handle


PROGRESS: dict[str, Any] = {
    "Upload-Offset": {
        "schema": {"type": "integer"},
        "description": "How many bytes have arrived.",
        "example": 1000,
    },
    "Upload-Expires": {
        "schema": {"type": "string"},
        "description": "Until when the upload can go on.",
        "example": "Sat, 02 Jan 2027 03:04:05 GMT",
    },
}
LENGTH: dict[str, Any] = {
    "Upload-Length": {
        "schema": {"type": "integer"},
        "description": "Bytes of the whole photo.",
        "example": 2000,
    }
}
LOCATION: dict[str, Any] = {
    "Location": {
        "schema": {"type": "string", "format": "uri"},
        "description": "The link of the upload.",
        "example": "https://irisvue.example/api/v1/photos/uploads/01a218a0-8356-74f5-b207-f1053475fe76?token=abc",
    }
}
PIECE_BODY: dict[str, Any] = {"content": {PIECE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


async def _checksum(
    header: Annotated[
        str | None,
        Header(
            alias="Upload-Checksum",
            max_length=128,
            examples=["sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
            description="`sha1` or `sha256`, a space, and the digest of this piece in base64.",
        ),
    ] = None,
) -> Checksum | None:
    return Checksum.parse(header)


async def _wanted(
    length: Annotated[
        int,
        Header(alias="Upload-Length", ge=1, examples=[2_418_904], description="Bytes of the whole photo."),
    ],
    metadata: Annotated[
        str | None,
        Header(
            alias="Upload-Metadata",
            max_length=2048,
            examples=["filetype aW1hZ2UvanBlZw=="],
            description="`filetype` names the image type, image/jpeg without it; nothing else is kept.",
        ),
    ] = None,
) -> Wanted:
    return Wanted(_declared_type(metadata), length)


Summed = Annotated[Checksum | None, Depends(_checksum)]
AnnouncedUpload = Annotated[Wanted, Depends(_wanted)]


def progress_of(photo: Photo) -> dict[str, str]:
    """Return the headers that tell how far an upload is."""
    return {
        "Upload-Offset": str(arrived(photo)),
        "Upload-Expires": written_date(photo.upload_expires_at),
    }


def _declared_type(metadata: str | None) -> str:
    """Return the image type that the metadata names as clients do; raises `InvalidRequest`."""
    named = read_metadata(metadata)
    said = (
        named.get("filetype") or named.get("content_type") or named.get("type") or schemas.AcceptedType.JPEG
    )
    try:
        return schemas.AcceptedType(said).value
    except ValueError:
        accepted = ", ".join(kind.value for kind in schemas.AcceptedType)
        raise InvalidRequest(f"Upload-Metadata must name one of {accepted} as filetype.") from None
