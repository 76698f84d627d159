"""The route of the consent receipt: what a person can keep, and show to anybody."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse

from chassis.callers import CurrentPrincipal
from chassis.negotiation import preferred_form
from chassis.openapi import problems
from consent.api.dependencies import CurrentService, HonoursSignal
from consent.pages import receipt_page
from consent.receipts import Issuer
from consent.transparency.receipts import RECEIPT_TYPE
from consent.use_cases.show_receipt import ReceiptOf, show_receipt
from consent.use_cases.withdraw_consent import ConsentNotFound

MEDIA_TYPE = f"application/{RECEIPT_TYPE}"
RETRY_SECONDS = 2
_NOT_SEALED = {"message": "The entry is not in the log yet. Ask again in two seconds."}
_HEADERS = {"Cache-Control": "private, no-store", "Vary": "Accept"}
_EXAMPLE = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImNvbnNlbnQtcmVjZWlwdCtqd3QifQ.eyJpYXQiOjE3OTU2ODcyMDB9.AQID"
_SAYS: dict[str, Any] = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A compact JWS under ES256, whose key is in `/.well-known/jwks.json`, or a page.",
        "content": {
            MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE},
            "text/html": {"schema": {"type": "string"}},
        },
    },
    202: {
        "description": "The entry is not sealed yet; `Retry-After` says when to ask again.",
        "content": {"application/json": {"schema": _SAYS, "example": _NOT_SEALED}},
    },
}

router = APIRouter(prefix="/api/v1/privacy", tags=["consent"])


@router.get(
    "/consent/{consent_id}/receipt",
    summary="The signed receipt of a consent, refusal or withdrawal",
    dependencies=[HonoursSignal],
    response_class=Response,
    responses=_ANSWERS | problems(ConsentNotFound),
)
async def get_receipt(
    consent_id: UUID,
    service: CurrentService,
    principal: CurrentPrincipal,
    of: Annotated[
        ReceiptOf,
        Query(
            description="`grant`: what was agreed to, or refused, also when it was withdrawn or has lapsed."
        ),
    ] = ReceiptOf.NEWEST,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Give the record (ISO/IEC TS 27560) of an entry of that consent, with its proof of inclusion."""
    receipt = await show_receipt(
        service.database,
        user_id=principal.user_id,
        consent_id=consent_id,
        of=of,
        issuer=Issuer(service.records, service.rulebook, service.settings.public_url),
        keys=service.log_keys,
        now=service.clock.now(),
    )
    if receipt is None:
        return JSONResponse(_NOT_SEALED, 202, headers={**_HEADERS, "Retry-After": str(RETRY_SECONDS)})
    if preferred_form(accept, (MEDIA_TYPE, "text/html")) == "text/html":
        page = receipt_page(receipt.claims, receipt.token)
        return HTMLResponse(page, headers={**_HEADERS, "Content-Language": "en"})
    return Response(receipt.token, media_type=MEDIA_TYPE, headers=_HEADERS)
