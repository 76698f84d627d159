"""The status of an erasure and its certificate, for whoever holds its token."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse

from chassis.negotiation import preferred_form
from chassis.openapi import problems
from chassis.problems import NotFound
from identity.api.dependencies import CurrentService
from identity.erasure.certificate import CERTIFICATE_TYPE, read_certificate
from identity.erasure.certificate_pdf import certificate_pdf
from identity.erasure.pages import certificate_page
from identity.erasure.policy import NotCertifiedYet
from identity.erasure.schemas import ErasureRead
from identity.use_cases.erasure.show_certificate import show_certificate
from identity.use_cases.erasure.show_erasure import show_erasure

MEDIA_TYPE = f"application/{CERTIFICATE_TYPE}"
SIGNED = (MEDIA_TYPE, "application/jwt", "application/jose")
PDF = "application/pdf"
FORMS = (*SIGNED, "application/json", "text/html", PDF)
_HEADERS = {"Cache-Control": "private, no-store", "Vary": "Accept"}
_EXAMPLE = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImVyYXN1cmUtY2VydGlmaWNhdGUrand0In0.eyJpYXQiOjE3OTU2ODcyMDB9.AQID"
_TEXT = {"type": "string"}
_READ = {"type": "object", "required": ["certificate", "claims"], "properties": {"certificate": _TEXT}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A compact JWS under ES256, whose key is in `/.well-known/jwks.json`; it and its "
        "claims as JSON; or a page, or a document.",
        "content": {
            **{kind: {"schema": _TEXT, "example": _EXAMPLE} for kind in SIGNED},
            "application/json": {
                "schema": _READ,
                "example": {"certificate": _EXAMPLE, "claims": {"iat": 1795687200}},
            },
            "text/html": {"schema": _TEXT},
            PDF: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

router = APIRouter(prefix="/api/v1/privacy/erasures", tags=["erasure"])


async def status_token(
    header_token: Annotated[str, Header(alias="X-Erasure-Token", max_length=128)] = "",
    token: Annotated[str, Query(max_length=128)] = "",
) -> str:
    """Return the token that the caller has shown."""
    return header_token or token


StatusToken = Annotated[str, Depends(status_token)]


@router.get("/{erasure_id}", summary="Show how far an erasure is", responses=problems(NotFound))
async def erasure_status(erasure_id: UUID, service: CurrentService, token: StatusToken) -> ErasureRead:
    """Show how far an erasure is; the status token of the deletion is the key."""
    async with service.unit_of_work() as uow:
        return await show_erasure(uow, erasure_id=erasure_id, token=token)


@router.get(
    "/{erasure_id}/certificate",
    summary="The signed certificate of an erasure",
    response_class=Response,
    responses=_ANSWERS | problems(NotFound, NotCertifiedYet),
)
async def erasure_certificate(
    erasure_id: UUID,
    service: CurrentService,
    token: StatusToken,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Give the certificate that everything is erased; the status token of the deletion is the key.

    It is signed when the last participant has looked again and found nothing. The SHA-256 of its letters is a
    leaf of the log of consents.
    """
    async with service.unit_of_work() as uow:
        certificate = await show_certificate(uow, erasure_id=erasure_id, token=token)
    form = preferred_form(accept, FORMS)
    if form == "text/html":
        page = certificate_page(read_certificate(certificate), certificate)
        return HTMLResponse(page, headers={**_HEADERS, "Content-Language": "en"})
    if form == PDF:
        # Off the event loop: the first document also loads the library.
        made = await asyncio.to_thread(certificate_pdf, read_certificate(certificate), certificate)
        return Response(made, media_type=PDF, headers=_HEADERS)
    if form == "application/json":
        claims = read_certificate(certificate)
        return JSONResponse({"certificate": certificate, "claims": claims}, headers=_HEADERS)
    return Response(certificate, media_type=form, headers=_HEADERS)
