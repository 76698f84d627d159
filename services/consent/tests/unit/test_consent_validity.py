import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import pytest

from consent.policy import ConsentStatus, consent_of, expiry
from consent.rule_files import load_rulebook
from consent.rulebook import Rulebook

RULEBOOK = load_rulebook()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PERSON, CONSENT = UUID(int=1), UUID(int=7)


@dataclass
class Fact:
    epoch: int = 1
    consent_id: UUID | None = CONSENT
    consent_type: str = "biometric_capture"
    jurisdiction: str = "gdpr"
    consent_text_version: str = "2026-01"
    jurisdictions: list[str] = field(default_factory=lambda: ["gdpr"])
    user_id: UUID | None = PERSON
    occurred_at: datetime = NOON
    expires_at: datetime | None = NOON + timedelta(days=730)
    country: str | None = None
    region: str | None = None
    residence: str | None = None


def status(now: datetime = NOON + timedelta(days=1), *, rulebook: Rulebook = RULEBOOK, **changed: object):
    after = {name: changed.pop(name) for name in ("withdrawn_at", "followed_by") if name in changed}
    return consent_of(Fact(**changed), **after).status(rulebook, now)


def test_a_grant_is_live() -> None:
    assert status() is ConsentStatus.LIVE


@pytest.mark.parametrize("followed_by", ["withdrawal", "grant", "renewal", "expiry", None])
def test_a_withdrawal_ends_the_consent_whatever_came_first_and_says_when(followed_by) -> None:
    withdrawn = {"withdrawn_at": NOON + timedelta(minutes=2), "followed_by": followed_by}
    assert status(**withdrawn) is ConsentStatus.WITHDRAWN
    assert consent_of(Fact(), **withdrawn).withdrawn_at == NOON + timedelta(minutes=2)


def test_a_later_grant_supersedes() -> None:
    assert status(followed_by="renewal") is ConsentStatus.SUPERSEDED
    assert status(followed_by="grant") is ConsentStatus.SUPERSEDED
    assert status(NOON + timedelta(days=731), followed_by="grant") is ConsentStatus.SUPERSEDED


def test_an_expiry_ends_the_consent_whatever_the_time_says() -> None:
    assert status(followed_by="expiry") is ConsentStatus.EXPIRED


def test_a_consent_lapses_at_the_very_moment_it_says() -> None:
    expires_at = consent_of(Fact()).expires_at
    assert status(expires_at - timedelta(microseconds=1)) is ConsentStatus.LIVE
    assert status(expires_at) is ConsentStatus.EXPIRED


def test_a_grant_that_does_not_say_when_it_lapses_has_lapsed() -> None:
    assert status(NOON, expires_at=None) is ConsentStatus.EXPIRED


def test_every_regime_lets_a_consent_lapse_within_two_years() -> None:
    for regime in RULEBOOK.regimes.values():
        assert expiry(regime.ruleset(NOON.date()), NOON) <= NOON + timedelta(days=730)


@pytest.mark.parametrize("blank", [{"user_id": None}, {"consent_id": None}])
def test_an_entry_that_an_erasure_has_blanked_tells_of_no_consent(blank) -> None:
    with pytest.raises(ValueError, match="blanked"):
        consent_of(Fact(**blank))


def test_a_consent_to_a_regime_that_is_gone_does_not_count() -> None:
    assert status(jurisdiction="atlantis") is ConsentStatus.OUTDATED


def test_a_consent_to_a_text_that_never_was_does_not_count() -> None:
    assert status(consent_text_version="1999-01") is ConsentStatus.OUTDATED


@pytest.fixture
def with_new_text(tmp_path: Path) -> object:
    def build(*, renewal_required: bool) -> Rulebook:
        rules = tmp_path / f"rules-{renewal_required}"
        shutil.copytree(str(files("consent") / "rules"), rules)
        folder = rules / "texts" / "gdpr" / "biometric_capture"
        (folder / "2027-01.en.txt").write_bytes((folder / "2026-01.en.txt").read_bytes())
        file = rules / "regimes" / "gdpr.json"
        regime = json.loads(file.read_text(encoding="utf-8"))
        dated = {"version": "2027-01", "effective_from": "2027-01-01", "renewal_required": renewal_required}
        regime["texts"].append({**regime["texts"][0], **dated})
        file.write_text(json.dumps(regime), encoding="utf-8")
        return load_rulebook(rules)

    return build


@pytest.mark.parametrize(
    ("renewal_required", "then"), [(True, ConsentStatus.OUTDATED), (False, ConsentStatus.LIVE)]
)
def test_a_new_text_ends_a_consent_only_when_it_changes_what_was_agreed(
    with_new_text, renewal_required: bool, then: ConsentStatus
) -> None:
    rulebook = with_new_text(renewal_required=renewal_required)
    assert status(datetime(2026, 12, 31, tzinfo=UTC), rulebook=rulebook) is ConsentStatus.LIVE
    assert status(datetime(2027, 1, 2, tzinfo=UTC), rulebook=rulebook) is then
    assert rulebook.regimes["gdpr"].current_text(
        "biometric_capture", NOON.date().replace(year=2027)
    ).version == ("2027-01")
