"""What a person sends who agrees or refuses, read strictly: a no is never taken for a yes."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from contracts.fields import ConsentType

MAX_METADATA_BYTES = 4096
MAX_CODE_LENGTH = 64
# Names under which apps say yes or no; whatever else a request holds is ignored.
_SAY_YES = frozenset(
    {"granted", "explicit_consent", "consent", "consented", "consent_given", "agreed", "accepted", "opt_in"}
)
_SAY_NO = frozenset({"withdrawn", "refused", "declined", "denied", "revoked", "opt_out"})
_NO = frozenset({"", "0", "false", "n", "no", "off"})


def _known_type(value: Any) -> ConsentType:
    known = value.strip().lower() if isinstance(value, str) else value
    if isinstance(known, str) and known in set(ConsentType):
        return ConsentType(known)
    raise ValueError(f"consent_type is one of: {', '.join(ConsentType)}")


KnownConsentType = Annotated[ConsentType, BeforeValidator(_known_type)]
"""A purpose, read case-insensitively; the error for another one names those that there are."""

Code = Annotated[
    str | None,
    Field(
        max_length=MAX_CODE_LENGTH,
        description="Where the person is, as the device knows it: a code of ISO 3166, read tolerantly.",
    ),
]


def _small_enough(value: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
    if value is None:
        return None
    try:
        size = len(canonical_json(value))
    except ValueError:
        # Python's message would quote the number.
        raise ValueError("metadata may only hold numbers that JSON has") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may have at most {MAX_METADATA_BYTES} bytes as JSON")
    return value


def canonical_json(value: dict[str, JsonValue]) -> str:
    """Return the one spelling of a JSON object, in ASCII; raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _contradicts(fields: Mapping[str, Any]) -> bool:
    named = {name.lower(): value for name, value in fields.items()}
    return any(_is_no(named[name]) for name in _SAY_YES & named.keys()) or any(
        not _is_no(named[name]) for name in _SAY_NO & named.keys()
    )


def _is_no(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _NO
    return value is None or value is False or value == 0


def _true_or_false(value: Any) -> Any:
    # Every other value, "yes" and 1 among them, is neither the yes nor the no that is recorded here.
    if value is not True and value is not False:
        raise ValueError("granted is true or false, and nothing was recorded")
    return value


class GrantRequest(BaseModel):
    """A person agrees to one purpose, or refuses it, having been shown one version of its text."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "consent_type": "biometric_capture",
                    "jurisdiction": "gdpr",
                    "consent_text_version": "2026-01",
                    "country_code": "DE",
                }
            ]
        },
    )

    consent_type: KnownConsentType
    jurisdiction: Annotated[str, AfterValidator(str.lower)] = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{1,31}$", description="Read case-insensitively."
    )
    consent_text_version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    granted: Annotated[bool, BeforeValidator(_true_or_false)] = Field(
        default=True, description="A JSON literal: false records that the person was asked and said no."
    )
    metadata: Annotated[dict[str, JsonValue] | None, AfterValidator(_small_enough)] = Field(
        default=None,
        description="What the app wants on record, at most 4096 bytes; erased with the person. Where a"
        " written release is asked for, `signature` in it is the name that the person typed.",
    )
    country_code: Code = None
    state_code: Code = None
    residence: Code = Field(default=None, description="Where the person says that they live: `DE`, `US-IL`.")
    consent_text_locale: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
        max_length=35,
        description="The language of the text that was read; left out, `Accept-Language` decides.",
    )

    @property
    def signature(self) -> str | None:
        """The name that the person typed under the text; None where no letter is in it."""
        typed = (self.metadata or {}).get("signature")
        return typed if isinstance(typed, str) and any(letter.isalpha() for letter in typed) else None

    @model_validator(mode="before")
    @classmethod
    def _says_one_thing(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or fields.get("granted", True) is not True:
            return fields
        metadata = fields.get("metadata")
        said = [{name: value for name, value in fields.items() if name != "granted"}]
        if isinstance(metadata, dict):
            said.append(metadata)
        if any(_contradicts(named) for named in said):
            raise ValueError("a field says no to what the request agrees to; nothing was recorded")
        return fields
