"""The events that consent publishes: what people agreed to, that they no longer do, and the log of both."""

from typing import Annotated

from pydantic import Field

from contracts.envelope import Event
from contracts.fields import (
    ConsentId,
    ConsentType,
    Count,
    Digest,
    Epoch,
    Jurisdiction,
    NoteSignature,
    PreferenceFlag,
    Timestamp,
    UserId,
    Version,
)


class ConsentGranted(Event, type="consent.consent.granted.v1"):
    """The person agreed to one purpose, having been shown one version of its text."""

    user_id: UserId
    consent_id: ConsentId
    consent_type: ConsentType
    jurisdiction: Jurisdiction
    consent_text_version: Version
    epoch: Epoch
    granted_at: Timestamp


class ConsentWithdrawn(Event, type="consent.consent.withdrawn.v1"):
    """The person no longer agrees; what rested on the consent is closed now and destroyed."""

    user_id: UserId
    consent_id: ConsentId
    consent_type: ConsentType
    jurisdiction: Jurisdiction
    epoch: Epoch
    withdrawn_at: Timestamp


class ConsentExpired(Event, type="consent.consent.expired.v1"):
    """The consent has lapsed by itself; what rested on it is closed now and destroyed."""

    user_id: UserId
    consent_id: ConsentId
    consent_type: ConsentType
    jurisdiction: Jurisdiction
    epoch: Epoch
    expired_at: Timestamp


class CheckpointSealed(Event, type="consent.checkpoint.sealed.v1"):
    """The transparency log of the ledger has grown; the signature is that of its checkpoint as a note."""

    tree_size: Count
    root: Digest
    sealed_at: Timestamp
    signature: NoteSignature

    @property
    def subject(self) -> str:
        """The checkpoint; it is about nobody."""
        return f"checkpoints/{self.tree_size}"


class PreferencesChanged(Event, type="consent.preferences.changed.v1"):
    """The person wants their data to be treated otherwise; whoever sells, shares or uses it has to follow."""

    user_id: UserId
    epoch: Epoch
    flags: Annotated[
        tuple[PreferenceFlag, ...],
        Field(description="What holds from now on; what is not listed does not hold."),
    ]
    changed_at: Timestamp
