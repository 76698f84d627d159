import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.policy import Consent, ConsentStatus, consents_told_by, expiry
from consent.rulebook import Rulebook, load_rulebook

RULEBOOK = load_rulebook()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PERSON = UUID(int=1)


@dataclass
class Fact:
    kind: str
    epoch: int
    consent_id: UUID | None = None
    consent_type: str = "biometric_capture"
    jurisdiction: str = "gdpr"
    consent_text_version: str = "2026-01"
    jurisdictions: list[str] = field(default_factory=lambda: ["gdpr"])
    user_id: UUID | None = PERSON

    @property
    def occurred_at(self) -> datetime:
        return NOON + timedelta(minutes=self.epoch)

    @property
    def expires_at(self) -> datetime | None:
        return self.occurred_at + timedelta(days=730) if self.kind == "grant" else None


def grant(epoch: int, **changed: object) -> Fact:
    return Fact("grant", epoch, consent_id=UUID(int=epoch), **changed)  # type: ignore[arg-type]


def withdrawal(epoch: int, of: int, **changed: object) -> Fact:
    return Fact("withdrawal", epoch, consent_id=UUID(int=of), **changed)  # type: ignore[arg-type]


def statuses(*facts: Fact, now: datetime = NOON + timedelta(days=1)) -> list[ConsentStatus]:
    return [consent.status(RULEBOOK, now) for consent in consents_told_by(facts)]


def test_a_grant_is_live() -> None:
    [consent] = consents_told_by([grant(1)])
    assert consent.is_live(RULEBOOK, NOON + timedelta(days=1))
    assert consent.withdrawn_at is None


def test_a_withdrawal_ends_the_consent_and_says_when() -> None:
    [consent] = consents_told_by([grant(1), withdrawal(2, of=1)])
    assert consent.status(RULEBOOK, NOON + timedelta(days=1)) is ConsentStatus.WITHDRAWN
    assert consent.withdrawn_at == NOON + timedelta(minutes=2)


def test_a_later_grant_supersedes_and_newest_comes_first() -> None:
    assert statuses(grant(1), grant(2)) == [ConsentStatus.LIVE, ConsentStatus.SUPERSEDED]


def test_a_withdrawal_ends_superseded_consents_of_that_type_too() -> None:
    assert statuses(grant(1), grant(2), withdrawal(3, of=1)) == [ConsentStatus.WITHDRAWN] * 2


def test_a_withdrawal_leaves_other_types_alone() -> None:
    marketing = grant(1, consent_type="marketing")
    told = consents_told_by([grant(1), marketing, withdrawal(2, of=1)])
    live = [consent.consent_type for consent in told if consent.is_live(RULEBOOK, NOON)]
    assert live == ["marketing"]


def test_a_consent_given_again_after_withdrawal_is_live_and_the_old_one_stays_withdrawn() -> None:
    assert statuses(grant(1), withdrawal(2, of=1), grant(3)) == [ConsentStatus.LIVE, ConsentStatus.WITHDRAWN]


def test_a_consent_lapses_at_the_very_moment_it_says() -> None:
    [consent] = consents_told_by([grant(1)])
    assert consent.is_live(RULEBOOK, consent.expires_at - timedelta(microseconds=1))
    assert consent.status(RULEBOOK, consent.expires_at) is ConsentStatus.EXPIRED


def test_every_regime_lets_a_consent_lapse_within_two_years() -> None:
    for regime in RULEBOOK.regimes.values():
        assert expiry(regime.ruleset(NOON.date()), NOON) <= NOON + timedelta(days=730)


def test_entries_that_an_erasure_has_blanked_tell_nothing() -> None:
    assert consents_told_by([Fact("grant", 1, user_id=None), Fact("withdrawal", 2, user_id=None)]) == []


def test_a_consent_to_a_regime_that_is_gone_does_not_count() -> None:
    assert statuses(grant(1, jurisdiction="atlantis")) == [ConsentStatus.OUTDATED]


def test_a_consent_to_a_text_that_never_was_does_not_count() -> None:
    assert statuses(grant(1, consent_text_version="1999-01")) == [ConsentStatus.OUTDATED]


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
    ("renewal_required", "status"), [(True, ConsentStatus.OUTDATED), (False, ConsentStatus.LIVE)]
)
def test_a_new_text_ends_a_consent_only_when_it_changes_what_was_agreed(
    with_new_text, renewal_required: bool, status: ConsentStatus
) -> None:
    rulebook = with_new_text(renewal_required=renewal_required)
    [consent] = consents_told_by([grant(1)])
    assert consent.status(rulebook, datetime(2026, 12, 31, tzinfo=UTC)) is ConsentStatus.LIVE
    assert consent.status(rulebook, datetime(2027, 1, 2, tzinfo=UTC)) is status
    assert rulebook.regimes["gdpr"].current_text(
        "biometric_capture", NOON.date().replace(year=2027)
    ).version == ("2027-01")


@given(st.lists(st.booleans(), max_size=12))
def test_at_most_one_consent_of_a_type_is_live_and_none_after_a_withdrawal(grants: list[bool]) -> None:
    facts = [
        grant(epoch) if is_grant else withdrawal(epoch, of=epoch - 1)
        for epoch, is_grant in enumerate(grants, start=1)
    ]
    told: list[Consent] = consents_told_by(facts)
    live = [consent for consent in told if consent.is_live(RULEBOOK, NOON + timedelta(hours=1))]
    assert len(live) == (1 if grants and grants[-1] else 0)
    assert len(told) == sum(grants)
