"""What the mails of identity are about, and their rules."""

from enum import StrEnum

from chassis.problems import Unauthorized


class MailKind(StrEnum):
    """What a mail is about."""

    VERIFY_ADDRESS = "verify_address"
    CONFIRM_NEW_ADDRESS = "confirm_new_address"
    ADDRESS_CHANGED = "address_changed"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # A subject, not a secret.
    BEGIN_ANEW = "begin_anew"
    ACCOUNT_REPLACED = "account_replaced"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # A subject, not a secret.
    NEW_SIGN_IN_METHOD = "new_sign_in_method"
    SESSION_ENDED_FOR_SAFETY = "session_ended_for_safety"
    ADDRESS_ALREADY_REGISTERED = "address_already_registered"
    CONFIRM_DELETION = "confirm_deletion"
    ACCOUNT_DELETED = "account_deleted"
    DELETION_SCHEDULED = "deletion_scheduled"


UNASKED = frozenset(
    {MailKind.VERIFY_ADDRESS, MailKind.CONFIRM_NEW_ADDRESS, MailKind.ADDRESS_ALREADY_REGISTERED}
)
"""Mails that somebody can have sent to anybody's address."""
CONFIRMATIONS = (MailKind.VERIFY_ADDRESS, MailKind.CONFIRM_NEW_ADDRESS)
RESETS = (MailKind.RESET_PASSWORD, MailKind.BEGIN_ANEW)
DELETIONS = (MailKind.CONFIRM_DELETION,)
WITH_LINK = (*CONFIRMATIONS, *RESETS, *DELETIONS, MailKind.DELETION_SCHEDULED)


class InvalidMailToken(Unauthorized, title="This link has expired"):
    """The link of a mail is not good any more."""

    detail = "The link was used already or is too old. Ask for a new one."
