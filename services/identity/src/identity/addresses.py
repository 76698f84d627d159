"""E-mail addresses: what is mailed to decides whose account it is."""

import unicodedata
from string import ascii_lowercase, ascii_uppercase

import idna
from email_validator import EmailNotValidError, validate_email

from chassis.problems import Problem

EMAIL_MAX_LENGTH = 320
_NO_ADDRESS = "This is not an e-mail address."
_NOT_PLAIN = (
    "The part before the @ has letters that others stand for. Write it in its plain form and in lower case."
)
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class AddressNotMailable(Problem, status=422, title="This address can't be mailed to"):
    """Our mail server can't carry mail to this address (RFC 6531 §3.1)."""

    detail = "Our mail can't reach addresses with letters like these before the @. Use another address."


def checked_email(typed: str) -> str:
    """Return the address that mails go to; raises ValueError with a fixed message.

    Its domain is in lower-case A-labels (IDNA2008, RFC 5891 §4), the part before the @ is NFC and keeps its
    ASCII case. A local part that compatibility forms or case folding would make another one is refused: two
    mailboxes must never be told apart by what only looks or sounds different.
    """
    address = typed.strip()
    try:
        parts = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise ValueError(_NO_ADDRESS) from None
    if not _is_plain(address.rpartition("@")[0]):
        raise ValueError(_NOT_PLAIN)
    return f"{parts.local_part}@{parts.ascii_domain.lower()}"


def email_key(typed: str) -> str:
    """Return what decides whether two addresses are one account: the mailbox, whatever its spelling.

    The domain is in lower-case A-labels, the part before the @ is NFC with ASCII letters in lower case. Text
    that is no address is its own key behind a blank, which no address begins with.
    """
    # The database holds every character but this one; no address has it, but anybody can ask for one.
    text = typed.strip().translate(_LOWER).replace("\0", "\N{REPLACEMENT CHARACTER}")
    local, _, domain = text.rpartition("@")
    try:
        return f"{unicodedata.normalize('NFC', local)}@{_a_labels(domain)}" if local else f" {text}"
    except idna.IDNAError:
        return f" {text}"


def is_mailable(address: str, *, smtp_utf8: bool) -> bool:
    """Tell whether the mail server takes mail to a checked address; `smtp_utf8`: it offers SMTPUTF8."""
    return smtp_utf8 or address.isascii()


def _a_labels(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    # Mapped as programs do before they look a name up (UTS 46); ß stays itself, as registries have it.
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode().lower()


def _is_plain(local: str) -> bool:
    if local.isascii():
        return True
    if any(unicodedata.normalize("NFC", letter) != letter for letter in local):
        return False
    composed = unicodedata.normalize("NFC", local).translate(_LOWER)
    return unicodedata.normalize("NFKC", composed).casefold() == composed
