"""A deletion without the app: a page that asks for a mail, and the page that the mail leads to."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from pydantic import SecretStr

from chassis.idempotency import IdempotentRoute
from chassis.openapi import Responses
from identity.addresses import EMAIL_MAX_LENGTH
from identity.api.dependencies import CurrentService
from identity.mail.deletion_pages import (
    CONFIRM_PAGE,
    CONTENT_SECURITY_POLICY,
    EXPIRED_PAGE,
    REQUEST_PAGE,
    REQUESTED_PAGE,
    confirmed_page,
)
from identity.mail.policy import InvalidMailToken
from identity.timing_floor import timing_floor
from identity.use_cases.erasure.confirm_erasure import confirm_erasure
from identity.use_cases.erasure.request_erasure import request_erasure

REQUEST_SECONDS = 0.05
"""Many times what the work takes: reading an account takes a little longer than finding none."""

router = APIRouter(
    prefix="/api/v1/auth", tags=["erasure"], route_class=IdempotentRoute, default_response_class=HTMLResponse
)
_EXPIRED: Responses = {
    InvalidMailToken.status: {
        "description": InvalidMailToken.title,
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}


@router.get("/request-deletion", summary="The page that asks for a deletion without the app")
async def request_deletion_page() -> HTMLResponse:
    """Show the page on which somebody asks for a link that deletes the account."""
    return _page(REQUEST_PAGE)


@router.post("/request-deletion", summary="Ask for a mail that deletes the account")
async def ask_for_deletion(
    service: CurrentService, email: Annotated[str, Form(min_length=1, max_length=EMAIL_MAX_LENGTH)]
) -> HTMLResponse:
    """Send a mail with a link; the answer is the same whether or not the address has an account."""
    async with timing_floor(REQUEST_SECONDS):
        # Past the limit the same is done and answered, and nobody gets a mail.
        wanted = email if await service.limits.before_deletion(email) else ""
        async with service.unit_of_work() as uow:
            await request_erasure(uow, email=wanted)
    return _page(REQUESTED_PAGE)


@router.get("/confirm-deletion", summary="The page that a deletion mail links to")
async def confirm_deletion_page() -> HTMLResponse:
    """Show the button that deletes; opening the page changes nothing."""
    return _page(CONFIRM_PAGE)


@router.post("/confirm-deletion", summary="Delete the account with the token of a mail", responses=_EXPIRED)
async def confirm_deletion(
    service: CurrentService,
    token: Annotated[SecretStr, Form(min_length=1, max_length=128, examples=["the-token-of-the-mail"])],
) -> HTMLResponse:
    """Close the account and erase everything in it; the page has the token of the erasure's status."""
    try:
        async with service.unit_of_work() as uow:
            deletion = await confirm_erasure(
                uow,
                token=token.get_secret_value(),
                rules=service.rules,
                grace=timedelta(hours=service.settings.erasure_grace),
            )
    except InvalidMailToken:
        return _page(EXPIRED_PAGE, status=InvalidMailToken.status)
    return _page(
        confirmed_page(
            erasure_id=deletion.erasure_id,
            status_url=f"{service.settings.public_url}/api/v1/privacy/erasures/{deletion.erasure_id}",
            status_token=deletion.status_token,
            can_be_canceled=deletion.grace_until is not None,
        )
    )


def _page(html: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        html,
        status_code=status,
        headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"},
    )
