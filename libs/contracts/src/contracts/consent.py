"""The events that consent publishes: what people agreed to, and that they no longer do."""

from contracts.envelope import Event
from contracts.fields import ConsentId, ConsentType, Epoch, Jurisdiction, Timestamp, UserId, Version


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
