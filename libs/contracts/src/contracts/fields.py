"""The only types a payload may be made of; each says which kind of harmless value it holds.

Invariant: no type here can hold personal data, so an event made of them can't either. A contract test walks
every model (`event_schemas.privacy`) and refuses a leaf that carries no `Kind` and is no enumeration.
"""

from datetime import UTC, date, datetime
from enum import Enum, StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

_LARGEST_EXACT_INTEGER = 2**53 - 1  # JSON readers that use doubles are exact up to here.
_UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_UTC_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$"


class Kind(Enum):
    """What a value in a payload is; there is deliberately no kind for free text."""

    ID = "id"
    TIME = "time"
    COUNT = "count"
    VERSION = "version"
    CODE = "code"
    DIGEST = "digest"


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # Pydantic turns only a ValueError into a refusal of the value.
        raise ValueError("the time is outside the years 1 to 9999 in UTC") from None


_Id = Annotated[UUID, Field(json_schema_extra={"pattern": _UUID_PATTERN}), Kind.ID]

EventId = Annotated[_Id, Field(description="One event; the key of every idempotency check.")]
UserId = Annotated[_Id, Field(description="The account.")]
SessionId = Annotated[_Id, Field(description="One signed-in device.")]
ErasureId = Annotated[_Id, Field(description="One erasure, from the request to the certificate.")]
ConsentId = Annotated[_Id, Field(description="One entry of the consent ledger.")]
PhotoId = Annotated[_Id, Field(description="One photo.")]
MailId = Annotated[_Id, Field(description="One mail to be sent; the address is looked up by its sender.")]
HoldId = Annotated[_Id, Field(description="One hold; why something must stay is known to identity alone.")]
RecordId = Annotated[_Id, Field(description="The one thing of its kind that is held, such as a photo.")]
ExportId = Annotated[_Id, Field(description="One data export.")]

Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    Field(json_schema_extra={"pattern": _UTC_PATTERN}),
    Kind.TIME,
]
Day = Annotated[date, Kind.TIME]

Count = Annotated[int, Field(ge=0, le=_LARGEST_EXACT_INTEGER), Kind.COUNT]
Epoch = Annotated[
    int,
    Field(
        ge=1,
        le=_LARGEST_EXACT_INTEGER,
        description="Raised by every change of that person and kind; readers ignore what is not higher.",
    ),
    Kind.COUNT,
]

Version = Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,32}$"), Kind.VERSION]
Digest = Annotated[
    str,
    Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hex, of public text or of counts."),
    Kind.DIGEST,
]
NoteSignature = Annotated[
    str,
    Field(
        pattern="^[A-Za-z0-9+/]{91}=$",
        description="Id of the key and Ed25519 signature of a note, in base64 (C2SP signed-note).",
    ),
    Kind.DIGEST,
]
ServiceName = Annotated[str, Field(pattern="^[a-z]{1,32}$"), Kind.CODE]
Jurisdiction = Annotated[
    str,
    Field(
        pattern="^[a-z][a-z0-9_-]{1,31}$",
        description="A code of the jurisdiction table; open, because the table grows.",
    ),
    Kind.CODE,
]
PreferenceFlag = Annotated[
    str,
    Field(
        pattern="^[a-z_]{1,40}$",
        description="opt_out_of_sale_and_sharing or limit_sensitive_data_use; open, because the list grows.",
    ),
    Kind.CODE,
]

DATA_KIND_PATTERN = "^[a-z_]{1,40}$"
DataKind = Annotated[str, Field(pattern=DATA_KIND_PATTERN), Kind.CODE]
ErasedCounts = Annotated[
    dict[DataKind, Count],
    Field(
        description="How many of each kind of data were destroyed; empty when nothing was held.",
        json_schema_extra={"additionalProperties": False},
    ),
]
ExportedCounts = Annotated[
    dict[DataKind, Count],
    Field(
        description="How many records of each kind of data a section has.",
        json_schema_extra={"additionalProperties": False},
    ),
]

HeldCounts = Annotated[
    dict[DataKind, Count],
    Field(
        description="How many of each kind of data holds keep; empty when nothing is held.",
        json_schema_extra={"additionalProperties": False},
    ),
]


class AuthProvider(StrEnum):
    """Who vouched for the person when the account was made."""

    EMAIL = "email"
    APPLE = "apple"
    GOOGLE = "google"


class RevocationReason(StrEnum):
    """Why a session ended before its time."""

    LOGOUT = "logout"
    LOGOUT_ALL = "logout_all"
    ENDED_BY_USER = "ended_by_user"
    REUSE_DETECTED = "reuse_detected"
    PASSWORD_RESET = "password_reset"  # noqa: S105  # A reason, not a secret.
    PASSWORD_CHANGE = "password_change"  # noqa: S105  # A reason, not a secret.
    SECURITY = "security"
    DELETION = "deletion"


class MailKind(StrEnum):
    """What a mail is about."""

    VERIFY_ADDRESS = "verify_address"
    CONFIRM_NEW_ADDRESS = "confirm_new_address"
    ADDRESS_CHANGED = "address_changed"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # A subject, not a secret.
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # A subject, not a secret.
    NEW_SIGN_IN_METHOD = "new_sign_in_method"
    SESSION_ENDED_FOR_SAFETY = "session_ended_for_safety"
    ADDRESS_ALREADY_REGISTERED = "address_already_registered"
    ACCOUNT_DELETED = "account_deleted"


class ConsentType(StrEnum):
    """What a person can agree to."""

    BIOMETRIC_CAPTURE = "biometric_capture"
    DATA_PROCESSING = "data_processing"
    MARKETING = "marketing"


class PhotoContentType(StrEnum):
    """The image types that storage accepts."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    HEIC = "image/heic"
    WEBP = "image/webp"


class PhotoDeletionReason(StrEnum):
    """Why a photo was destroyed."""

    USER = "user"
    WITHDRAWAL = "withdrawal"
    RETENTION = "retention"
    ERASURE = "erasure"


KeyProvider = Annotated[
    str,
    Field(
        pattern="^[a-z][a-z0-9-]{1,31}$",
        description="What holds the keys that wrap data keys, as file, aws-kms or vault-transit; open, "
        "because the list grows.",
    ),
    Kind.CODE,
]

NothingHeld = Annotated[
    bool,
    Field(description="Said outright where nothing was held: true if, and only if, no count is above zero."),
    Kind.CODE,
]
