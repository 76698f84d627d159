"""The words in which every place that holds data says what it holds, why, for how long, and what ends it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class DataClass(StrEnum):
    """What kind of data it is, by what it tells about a person."""

    ACCOUNT = "account"
    CREDENTIAL = "credential"
    CONTACT = "contact"
    DEVICE = "device and network"
    CONSENT = "consent"
    BIOMETRIC = "biometric"
    KEY = "key"
    CONTENT = "content"
    PSEUDONYM = "pseudonym"
    """An id or a keyed hash that leads to a person only for who has the table or the key beside it."""
    NOBODY = "nobody's"


class Purpose(StrEnum):
    """What it is held for."""

    SIGN_IN = "sign in"
    NOTICES = "tell the person what happened to the account"
    PROOF_OF_CONSENT = "prove what was agreed to"
    SERVICE = "do what the person asked for"
    ERASURE = "carry out erasures and prove them"
    DELIVERY = "carry what was decided to where it acts"
    SECURITY = "keep strangers, guesses and floods out"
    OPERATION = "run the platform and find its faults"


class PlaceKind(StrEnum):
    """Where data lies that is no row of a service's schema."""

    REDIS = "redis key"
    OBJECT = "object"
    QUEUE = "queue"
    LOG = "log stream"
    MAILBOX = "mailbox"
    MEMORY = "memory"
    RECIPIENT = "recipient"
    FILE = "file"


RULE = re.compile(r"delete\b.*|null(: \S.*)?|empties itself: \S.*|retain: \S.*", re.DOTALL)
"""What may happen to data in an erasure, with a reason wherever something stays."""
_PARAMETER = re.compile(r"(\{[a-z_]+\}|\*)")


@dataclass(frozen=True, kw_only=True)
class About:
    """What a table or a place holds that no holding counts; `in_export`: whether the person gets it."""

    data_class: DataClass
    purpose: Purpose
    retention: str
    in_export: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place outside of the schemas: a prefix of keys, a folder of objects, a queue, a log, a mailbox.

    In its `name`, `{…}` stands for one part between slashes and `*` for any rest. What it holds is what the
    holding `held_as` counts, or stands in `about`.
    """

    kind: PlaceKind
    name: str
    holds: str
    on_erase: str
    about: About | None = None
    held_as: str = ""

    def __post_init__(self) -> None:
        if (self.about is None) == (not self.held_as):
            raise TypeError(f"{self.name}: either a holding counts it, or it says itself what it is about")
        if not RULE.fullmatch(self.on_erase):
            raise TypeError(f"{self.name}: what an erasure does to it is said in no known word")

    def covers(self, name: str) -> bool:
        """Tell whether a key, object, queue or stream of that name lies here."""
        parts = (
            "[^/]+" if part.startswith("{") else ".*" if part == "*" else re.escape(part)
            for part in _PARAMETER.split(self.name)
        )
        return re.fullmatch("".join(parts), name, re.DOTALL) is not None


def on_erase(
    rule: str, *, pruned_by: str | None = None, about: About | None = None, held_as: str = ""
) -> dict[str, Any]:
    """Return the `info` that declares what an erasure does to a column or a table.

    A table also says who keeps it from growing for ever: the name of periodic work, "erasure", "empties
    itself", or "kept: <why>"; and, where no holding counts its rows by a column of theirs, which holding does
    (`held_as`) or what it is about.
    """
    said = {"on_erase": rule, "pruned_by": pruned_by, "about": about, "held_as": held_as}
    return {name: value for name, value in said.items() if value}


def of_class(data_class: DataClass, *, in_export: bool | None = None) -> dict[str, Any]:
    """Return the `info` of a column that tells more, or something else, about a person than its table says.

    One that the person does not get, though they get the rest of the row, is not `in_export`.
    """
    return {"data_class": data_class} | ({} if in_export is None else {"in_export": in_export})


def not_exported() -> dict[str, Any]:
    """Return the `info` of a column that is about our work, and tells the person nothing of themselves."""
    return {"in_export": False}
