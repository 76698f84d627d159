"""What a consent record (ISO/IEC TS 27560) says that is the same for everybody: data of the rules.

An entry keeps what differs: who, when, which text in which language with which digest, which rules, where,
and until when.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from consent.policy import EntryKind
from contracts.fields import ConsentType


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ControllerTerms(_Data):
    """Who answers for the data, as far as the texts say it; an operator's name stands in the app."""

    name: str
    role: str
    identified_by: str
    contact: str
    type: str


class RecipientTerms(_Data):
    """Who receives data, by kind."""

    name: str
    type: str


class EntryTerms(_Data):
    """The state that an entry leads to, and how it was expressed; None for what nobody expressed."""

    state: str
    type: str | None


class PurposeTerms(_Data):
    """One purpose in the terms of the Data Privacy Vocabulary."""

    purpose: str
    category: str
    legal_basis: tuple[str, ...]
    data_categories: tuple[str, ...]
    special_category: bool
    necessity: str


class RecordTerms(_Data):
    """The file `records.json`."""

    schema_version: str
    vocabulary: str
    controller: ControllerTerms
    collection_method: str
    processing: tuple[str, ...]
    storage_locations: tuple[str, ...]
    recipients: tuple[RecipientTerms, ...]
    withdrawal: str
    entries: dict[EntryKind, EntryTerms]
    actor: str
    indication_methods: dict[str, str]
    purposes: dict[ConsentType, PurposeTerms]

    def under(self, name: str, contact: str) -> Self:
        """Return the terms with an operator's name and contact; what is empty stays as the texts say it."""
        said = {key: value for key, value in (("name", name), ("contact", contact)) if value}
        return self.model_copy(update={"controller": self.controller.model_copy(update=said)})

    def indication_method(self, kind: EntryKind, details: dict[str, Any] | None) -> str | None:
        """Return how a person showed it: a yes by a typed signature where the app sent one, else by agreeing.

        None for what nobody showed.
        """
        if kind in {EntryKind.GRANT, EntryKind.RENEWAL}:
            return self.indication_methods["signed" if (details or {}).get("signature") else "tapped"]
        return self.indication_methods.get(kind)


def notice_id(jurisdiction: str, consent_type: str, version: str, locale: str) -> str:
    """Return the id of the very words that were shown: regime, purpose, version and language."""
    return f"{jurisdiction}/{consent_type}/{version}.{locale}"
