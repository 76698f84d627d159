"""Find the laws that a person falls under, and what has to be shown before asking for pictures."""

from datetime import datetime

from consent.policy import Place, Requirements, Resolution, requirements, resolve_hints, utc_day
from consent.rulebook import Rulebook
from contracts.fields import ConsentType


def resolve_jurisdiction(
    rulebook: Rulebook, *, country: str | None, region: str | None, network: Place | None, now: datetime
) -> tuple[Resolution, Requirements]:
    """Resolve from what the device says, else from its network, else to the strict default."""
    day = utc_day(now)
    resolution = resolve_hints(rulebook, country=country, region=region, network=network, day=day)
    needed = requirements(rulebook, resolution.jurisdictions, ConsentType.BIOMETRIC_CAPTURE, day)
    return resolution, needed
