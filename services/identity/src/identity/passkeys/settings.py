"""Settings of passkeys: which domain they belong to and which pages and apps may use them."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from chassis.settings import ServiceSettings
from identity.providers.settings import Names

# A page's origin has no path; an Android app's is the SHA-256 of its signing certificate, in base64url.
_ORIGIN = re.compile(r"https?://[^/?#@\s]+|android:apk-key-hash:[A-Za-z0-9_-]{43}")


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_ORIGIN.fullmatch(value) for value in values):
        raise ValueError('must read like "https://app.example.org" or "android:apk-key-hash:<43 characters>"')
    return values


class PasskeySettings(ServiceSettings):
    """What the relying party needs to know (WebAuthn Level 3 §4)."""

    passkey_rp_id: str = Field(
        default="",
        description="Domain that passkeys belong to; empty: the host of public_url. "
        "With another domain all existing passkeys are lost.",
    )
    passkey_rp_name: str = Field(
        default="", max_length=64, description="How phones name us when they ask; empty: IrisVue."
    )
    passkey_origins: Annotated[Names, AfterValidator(_origins)] = Field(
        default=(),
        description="Pages and apps that may use passkeys, as a comma or JSON list; empty: public_url. "
        "An iOS app has the https:// origin of the domain, an Android app that of its certificate.",
    )
