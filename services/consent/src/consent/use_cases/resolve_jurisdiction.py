"""Find the laws that a person falls under, and what has to be shown before asking for pictures."""

from datetime import datetime

from consent.policy import Place, Requirements, Resolution, read_place, requirements, resolve, utc_day
from consent.rulebook import Rulebook
from contracts.fields import ConsentType


def resolve_jurisdiction(
    rulebook: Rulebook, *, country: str | None, region: str | None, network: Place | None, now: datetime
) -> tuple[Resolution, Requirements]:
    """Resolve from what the device says, else from its network, else to the strict default."""
    device = read_place(rulebook, country, region) if country and country.strip() else None
    resolution = resolve(rulebook, device=device, network=network, day=utc_day(now))
    needed = requirements(rulebook, resolution.jurisdictions, ConsentType.BIOMETRIC_CAPTURE, utc_day(now))
    return resolution, needed
