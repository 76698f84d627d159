"""Settings of the mails that identity sends."""

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from chassis.secret_checks import in_production
from chassis.settings import ServerUrl, StatefulSettings
from identity.mail.transport import PORTS


class MailSettings(StatefulSettings):
    """Which server takes mails, and how long their links are good."""

    smtp_url: ServerUrl = Field(
        description="Mail server: smtps://user:password@host:port, smtp+starttls://… or smtp://…"
    )
    smtp_utf8: bool = Field(
        default=False,
        description="true: the mail server offers SMTPUTF8, so that addresses may have any letters.",
    )
    mail_sender: str = Field(
        default="IrisVue <no-reply@irisvue.example>", description="Who mails come from, as `Name <address>`."
    )
    mail_link_base: str = Field(
        default="", description="Where links in mails lead; by default our own pages."
    )
    verify_hours: int = Field(default=24, ge=1, description="How long a link that proves an address works.")
    reset_minutes: int = Field(
        default=15, ge=1, le=60, description="How long a link that sets a new password works."
    )
    mail_outage_minutes: int = Field(
        default=5, ge=1, description="How long no mail server may be there before the worker is not ready."
    )

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        scheme = url.get_secret_value().partition("://")[0]
        if scheme not in PORTS:
            raise ValueError(f"begins with one of {', '.join(f'{known}://' for known in PORTS)}")
        if in_production(info) and scheme == "smtp":
            # STARTTLS that may be left out is left out by whoever listens in.
            raise ValueError("needs smtps:// or smtp+starttls:// in production: passwords travel in it")
        return url

    @property
    def link_base(self) -> str:
        """Where links in mails lead; never taken from a request's Host header."""
        return self.mail_link_base or f"{self.public_url}/api/v1/auth"
