"""What the links of mails lead to: confirming an address and resetting a password."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from chassis.counters import QuotaExceeded
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import Unauthorized
from identity import schemas
from identity.api.dependencies import CurrentDevice, CurrentService, SignedIn, new_password_hash
from identity.mail.pages import (
    CANCEL_DELETION_PAGE,
    CONTENT_SECURITY_POLICY,
    RESET_PASSWORD_PAGE,
    VERIFY_EMAIL_PAGE,
)
from identity.mail.policy import InvalidMailToken, MailKind
from identity.mail.schemas import NewPasswordRequest, PasswordResetRequest, VerifyEmailRequest
from identity.policy import EmailTaken, WeakPassword
from identity.timing_floor import timing_floor
from identity.use_cases.accounts.decline_address import decline_address
from identity.use_cases.accounts.verify_email import verify_email
from identity.use_cases.erasure.cancel_deletion import cancel_deletion
from identity.use_cases.mail.request_mail import request_mail
from identity.use_cases.passwords.request_password_reset import request_password_reset
from identity.use_cases.passwords.reset_password import address_to_reset, reset_password

RESET_SECONDS = 0.05
"""Many times what the work takes: reading an account takes a little longer than finding none."""

ADDRESS_CONFIRMED = schemas.MessageResponse(message="Your address is confirmed.")
ADDRESS_DECLINED = schemas.MessageResponse(message="Thank you. Nobody uses your address here now.")
MAIL_IF_UNCONFIRMED = schemas.MessageResponse(
    message="If your address is not confirmed yet, a mail is on its way."
)
MAIL_IF_KNOWN = schemas.MessageResponse(message="If this address has an account, a mail is on its way.")
PASSWORD_SET = schemas.MessageResponse(message="Your password is changed. Sign in with the new one.")
DELETION_CANCELED = schemas.MessageResponse(message="Your account is open again. Sign in to use it.")

router = APIRouter(prefix="/api/v1/auth", tags=["identity"], route_class=IdempotentRoute)


@router.post(
    "/verify-email",
    summary="Confirm an address",
    responses=example(ADDRESS_CONFIRMED) | problems(InvalidMailToken, EmailTaken),
)
async def confirm_email(body: VerifyEmailRequest, service: CurrentService) -> schemas.MessageResponse:
    """Confirm an address with the token of a mail."""
    async with service.unit_of_work() as uow:
        await verify_email(uow, token=body.token.get_secret_value())
    return ADDRESS_CONFIRMED


@router.post(
    "/decline-address",
    summary="Say that somebody else gave this address",
    responses=example(ADDRESS_DECLINED) | problems(InvalidMailToken),
)
async def decline(body: VerifyEmailRequest, service: CurrentService) -> schemas.MessageResponse:
    """Say that somebody else gave this address: an account that was made with it is erased."""
    async with service.unit_of_work() as uow:
        await decline_address(uow, token=body.token.get_secret_value(), rules=service.rules)
    return ADDRESS_DECLINED


@router.post(
    "/resend-verification",
    summary="Send the confirmation mail again",
    status_code=202,
    responses=example(MAIL_IF_UNCONFIRMED, status=202) | problems(Unauthorized, QuotaExceeded),
)
async def resend_verification(user: SignedIn, service: CurrentService) -> schemas.MessageResponse:
    """Send the confirmation mail again; a confirmed address gets none."""
    if not user.is_verified:
        await service.limits.before_mail(str(user.id))
        async with service.unit_of_work() as uow:
            request_mail(uow, MailKind.VERIFY_ADDRESS, user_id=user.id)
    return MAIL_IF_UNCONFIRMED


@router.post(
    "/request-password-reset",
    summary="Ask for a mail to reset the password",
    responses=example(MAIL_IF_KNOWN),
)
async def ask_for_reset(body: PasswordResetRequest, service: CurrentService) -> schemas.MessageResponse:
    """Send a reset mail; the answer is the same whether or not the address has an account."""
    async with timing_floor(RESET_SECONDS):
        # Past the limit the same is done and answered, and nobody gets a mail.
        wanted = body.email if await service.limits.before_reset(body.email) else ""
        async with service.unit_of_work() as uow:
            await request_password_reset(uow, email=wanted)
    return MAIL_IF_KNOWN


@router.post(
    "/reset-password",
    summary="Set a new password with the token of a mail",
    responses=example(PASSWORD_SET) | problems(InvalidMailToken, WeakPassword),
)
async def choose_password(
    body: NewPasswordRequest, service: CurrentService, device: CurrentDevice
) -> schemas.MessageResponse:
    """Set a new password with the token of a mail; ends every session."""
    token = body.token.get_secret_value()
    # Looked up first: the password must not be made of the address, and a made-up token costs no hash.
    async with service.unit_of_work() as uow:
        email = await address_to_reset(uow, token=token)
    password_hash = await new_password_hash(service, body.new_password, email=email)
    async with service.unit_of_work() as uow:
        await reset_password(uow, token=token, password_hash=password_hash, rules=service.rules)
    await service.database.when_durable(lambda: service.limits.after_reset(email, device.ip_prefix))
    return PASSWORD_SET


@router.get(
    "/verify-email", summary="The page that a confirmation mail links to", response_class=HTMLResponse
)
async def verify_email_page() -> HTMLResponse:
    """Show the page that a confirmation mail links to."""
    return _page(VERIFY_EMAIL_PAGE)


@router.get("/reset-password", summary="The page that a reset mail links to", response_class=HTMLResponse)
async def reset_password_page() -> HTMLResponse:
    """Show the page that a reset mail links to."""
    return _page(RESET_PASSWORD_PAGE)


@router.post(
    "/cancel-deletion",
    summary="Keep an account that is frozen",
    responses=example(DELETION_CANCELED) | problems(InvalidMailToken),
)
async def keep_account(body: VerifyEmailRequest, service: CurrentService) -> schemas.MessageResponse:
    """Open a frozen account again with the token of a mail; what was destroyed at once does not come back."""
    async with service.unit_of_work() as uow:
        await cancel_deletion(uow, token=body.token.get_secret_value())
    return DELETION_CANCELED


@router.get(
    "/cancel-deletion",
    summary="The page that the mail about a deletion links to",
    response_class=HTMLResponse,
)
async def cancel_deletion_page() -> HTMLResponse:
    """Show the page that the mail about a deletion links to."""
    return _page(CANCEL_DELETION_PAGE)


def _page(html: str) -> HTMLResponse:
    return HTMLResponse(
        html, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"}
    )
