"""Hands mails to the mail server."""

from email.message import EmailMessage
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from chassis.faults import TransientFault

SECONDS = 8.0


class MailServerUnavailable(TransientFault):
    """The mail server did not take the mail and may take it later."""


class MailRefused(Exception):
    """The mail server will never take this mail; the message is the server's code alone."""


class Post(Protocol):
    """Sends a mail, or raises `MailServerUnavailable` or `MailRefused`."""

    async def send(self, message: EmailMessage) -> None:
        """Hand the mail over; returns when the server has taken responsibility."""


class SmtpPost:
    """SMTP (RFC 5321), by an address such as `smtp://user:password@host:587` or `smtps://host:465`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("IDENTITY_SMTP_URL must look like smtp://host:port")
        self._host = parts.hostname
        self._port = parts.port or (465 if parts.scheme == "smtps" else 587)
        self._tls = parts.scheme == "smtps"
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, message: EmailMessage) -> None:
        """Send over a connection of its own; mails are few and a kept connection would go stale."""
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                use_tls=self._tls,
                username=self._username,
                password=self._password,
                timeout=SECONDS,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise _judged(error.code) from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged(max(refusal.code for refusal in error.recipients)) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailServerUnavailable(type(error).__name__) from None


def _judged(code: int) -> Exception:
    # 5yz is a final no, everything else may change (RFC 5321 §4.2.1).
    if 500 <= code < 600:  # noqa: PLR2004 - the class of permanent refusals
        return MailRefused(str(code))
    return MailServerUnavailable(str(code))
