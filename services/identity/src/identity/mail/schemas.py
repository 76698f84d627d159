"""What the routes behind the links of mails take."""

from typing import Annotated

from pydantic import Field, SecretStr

from chassis.requests import RequestBody
from identity.addresses import EMAIL_MAX_LENGTH
from identity.schemas import NewPassword

MailTokenText = Annotated[SecretStr, Field(max_length=128, examples=["the-token-of-the-mail"])]


class VerifyEmailRequest(RequestBody):
    """The token of a mail."""

    token: MailTokenText


class PasswordResetRequest(RequestBody):
    """The address whose password was forgotten."""

    email: Annotated[str, Field(max_length=EMAIL_MAX_LENGTH)]


class NewPasswordRequest(RequestBody):
    """The token of a reset mail and the password to set."""

    token: MailTokenText
    new_password: NewPassword
