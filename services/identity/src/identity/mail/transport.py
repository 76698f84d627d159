"""Hands mails to the mail server, and tells whose fault it is when one does not leave."""

import asyncio
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

from chassis.faults import TransientFault
from chassis.transactions import outside_transactions

SECONDS = 30.0
"""How long one mail may take from the first byte to the last answer, however many steps the server makes."""
CONNECT_SECONDS = 8.0
PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 587}
_CLOSING = 421
_FINAL = 500


class MailServerUnavailable(TransientFault):
    """The mail server takes nobody's mail now: every mail waits."""


class MailPostponed(Exception):
    """This mail was not taken, or nobody knows; the message is the server's code or the fault's name."""


class MailRefused(Exception):
    """The mail server will never take this mail; the message is the server's code or the fault's name."""


class SmtpTransport:
    """SMTP (RFC 5321), by an address such as `smtps://user:password@host:465`.

    `smtps` speaks TLS from the first byte (RFC 8314 §3.3), `smtp+starttls` goes no further without STARTTLS,
    and `smtp` takes it where it is offered.
    """

    def __init__(self, url: str, *, seconds: float = SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("IDENTITY_SMTP_URL must look like smtps://user:password@host:465")
        self._host = parts.hostname
        self._port = parts.port or PORTS[parts.scheme]
        self._tls = parts.scheme == "smtps"
        self._start_tls = True if parts.scheme == "smtp+starttls" else None
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._seconds = seconds

    async def send(self, message: EmailMessage, *, recipient: str) -> None:
        """Hand the mail over; returns when the server has taken responsibility.

        Raises `MailServerUnavailable`, `MailPostponed` or `MailRefused`. Each mail has a connection of its
        own: they are few, and a kept one would go stale.
        """
        outside_transactions("SMTP")
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=self._start_tls,
            username=self._username,
            password=self._password,
            timeout=self._seconds,
        )
        try:
            async with asyncio.timeout(self._seconds):
                await self._connect(client)
                await _hand_over(client, message, recipient)
        except TimeoutError:
            # Whether the server has taken it is not known.
            raise MailPostponed("TimeoutError") from None
        finally:
            client.close()

    @staticmethod
    async def _connect(client: aiosmtplib.SMTP) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect()
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailServerUnavailable(type(error).__name__) from None


async def _hand_over(client: aiosmtplib.SMTP, message: EmailMessage, recipient: str) -> None:
    try:
        await client.send_message(message, recipients=[recipient])
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _judged(max(refusal.code for refusal in error.recipients)) from None
    except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPHeloError) as error:
        # Every mail has the same sender.
        raise MailServerUnavailable(str(error.code)) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _judged(error.code) from None
    except (aiosmtplib.SMTPServerDisconnected, OSError) as error:
        raise MailPostponed(type(error).__name__) from None
    except (aiosmtplib.SMTPNotSupported, ValueError, LookupError) as error:
        # An address or a header that can't be put on the wire.
        raise MailRefused(type(error).__name__) from None


def _judged(code: int) -> Exception:
    # 5yz is a final no, everything else may change (RFC 5321 §4.2.1); 421 says that the server goes away.
    if code == _CLOSING:
        return MailServerUnavailable(str(code))
    return MailRefused(str(code)) if code >= _FINAL else MailPostponed(str(code))
