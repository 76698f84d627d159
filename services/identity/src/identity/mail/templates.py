"""What identity's mails say: text and HTML from the same sentences."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from uuid import UUID

import idna

from identity.mail.policy import MailKind


@dataclass(frozen=True)
class MailTemplate:
    """One kind of mail. `path` is the page that its link opens; without one there is no link.

    `{good_for}` in a sentence is how long the link is good.
    """

    subject: str
    sentences: tuple[str, ...]
    button: str = ""
    path: str = ""


_IF_IT_WAS_NOT_YOU = (
    "If this was not you: somebody may know your password. Reset it in the app, which signs out every device."
)

TEMPLATES: dict[MailKind, MailTemplate] = {
    MailKind.VERIFY_ADDRESS: MailTemplate(
        "Confirm your address",
        (
            "Welcome to IrisVue. Somebody signed up with this address; confirm it only if you signed up.",
            "The link is good for {good_for}. Confirming leaves the account to whoever made it.",
            "If that was not you: follow the link and say so. Then everything in that account is erased.",
        ),
        "Confirm my address",
        "/verify-email",
    ),
    MailKind.CONFIRM_NEW_ADDRESS: MailTemplate(
        "Confirm your new address",
        (
            "You asked to use this address for your IrisVue account. It takes effect when you confirm it.",
            "The link is good for {good_for}. If you did not ask for this, ignore this mail.",
        ),
        "Use this address",
        "/verify-email",
    ),
    MailKind.ADDRESS_CHANGED: MailTemplate(
        "The address of your account is about to change",
        (
            "Somebody who is signed in to your IrisVue account asked to change its address.",
            "It changes when the new address is confirmed.",
            _IF_IT_WAS_NOT_YOU,
        ),
    ),
    MailKind.RESET_PASSWORD: MailTemplate(
        "Reset your password",
        (
            "You asked to reset the password of your IrisVue account.",
            "The link works once, for {good_for}.",
            "If you did not ask for it, ignore this mail: your password stays as it is.",
        ),
        "Choose a new password",
        "/reset-password",
    ),
    MailKind.BEGIN_ANEW: MailTemplate(
        "Begin anew with your address",
        (
            "You asked to reset the password of an IrisVue account whose address nobody ever confirmed.",
            "The link works once, for {good_for}. It gives you a new, empty account.",
            "Everything in the earlier account is erased then, because somebody else may have made it.",
            "If it is yours and a device is still signed in, confirm your address there: nothing is erased.",
            "If you did not ask for this, ignore this mail: nothing changes.",
        ),
        "Choose a password and begin anew",
        "/reset-password",
    ),
    MailKind.ACCOUNT_REPLACED: MailTemplate(
        "You have a new, empty account",
        (
            "You have proved that this address is yours, and have a new, empty IrisVue account with it.",
            "An earlier account, whose address nobody ever confirmed, is closed and is being erased.",
        ),
    ),
    MailKind.PASSWORD_CHANGED: MailTemplate(
        "Your password was changed",
        ("The password of your IrisVue account was changed.", _IF_IT_WAS_NOT_YOU),
    ),
    MailKind.NEW_SIGN_IN_METHOD: MailTemplate(
        "A new way to sign in was added",
        (
            "Your IrisVue account can now be opened with a new sign-in method.",
            "If this was not you: remove it in the app, and reset your password to sign out every device.",
        ),
    ),
    MailKind.SESSION_ENDED_FOR_SAFETY: MailTemplate(
        "We signed out one of your devices",
        (
            "An old sign-in token of one of your devices was used a second time.",
            "It may have been copied, so that device was signed out. Sign in again to go on.",
            _IF_IT_WAS_NOT_YOU,
        ),
    ),
    MailKind.ADDRESS_ALREADY_REGISTERED: MailTemplate(
        "You already have an account",
        (
            "Somebody tried to use this address for an IrisVue account, and it has one already.",
            "If this was you: sign in, or reset the password. If it was not, there is nothing to do.",
        ),
    ),
    MailKind.DELETION_SCHEDULED: MailTemplate(
        "Your account will be deleted",
        (
            "As you asked, your IrisVue account is closed and its pictures are being destroyed.",
            "Everything else is erased in {good_for}. Until then this link opens the account again.",
            "The pictures do not come back. If you want the account to be deleted, there is nothing to do.",
        ),
        "Keep my account",
        "/cancel-deletion",
    ),
    MailKind.CONFIRM_DELETION: MailTemplate(
        "Delete your account?",
        (
            "Somebody asked on our page to delete the IrisVue account of this address and everything in it.",
            "The link is good for {good_for}. It leads to a button: nothing is erased before you press it.",
            "If that was not you, ignore this mail: nothing happens.",
        ),
        "Delete my account",
        "/confirm-deletion",
    ),
    MailKind.ACCOUNT_DELETED: MailTemplate(
        "Your account is being deleted",
        (
            "As you asked, your IrisVue account is closed and everything in it is being erased.",
            "The app, or the page where you confirmed it, has a token that shows when it is complete.",
            "This can't be undone.",
        ),
    ),
}


def with_ascii_domain(address: str) -> str:
    """Return the address with its domain in A-labels (RFC 5891 §4); raises ValueError when it has none."""
    local, _, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}@{idna.encode(domain, uts46=True).decode()}"


def render(
    kind: MailKind,
    *,
    mail_id: UUID,
    sender: str,
    recipient: str,
    link: str | None,
    good_for: timedelta,
    now: datetime,
) -> EmailMessage:
    """Return the mail, as text with an HTML alternative (RFC 2046 §5.1.4); raises ValueError and the like.

    However often it is written, it is the same message (RFC 5322 §3.6.4).
    """
    template = TEMPLATES[kind]
    sentences = [sentence.format(good_for=_spoken(good_for)) for sentence in template.sentences]
    message = EmailMessage()
    message["Subject"] = template.subject
    message["From"] = sender
    message["To"] = recipient
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(template, sentences, link))
    message.add_alternative(_html(template, sentences, link), subtype="html")
    return message


def _spoken(time: timedelta) -> str:
    minutes = int(time.total_seconds()) // 60
    number, unit = (minutes, "minute") if minutes % 60 else (minutes // 60, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _text(template: MailTemplate, sentences: list[str], link: str | None) -> str:
    parts = [*sentences]
    if link:
        parts.insert(1, f"{template.button}:\n{link}")
    return "\n\n".join(parts) + "\n"


def _html(template: MailTemplate, sentences: list[str], link: str | None) -> str:
    parts = [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if link:
        address = escape(link, quote=True)
        parts.insert(1, f'<p><a href="{address}"><b>{escape(template.button)}</b></a></p><p>{address}</p>')
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><title>{escape(template.subject)}</title><body>{body}</body></html>'
    )
