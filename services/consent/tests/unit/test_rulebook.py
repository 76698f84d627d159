import json
import shutil
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from consent.rulebook import Regime, Rulebook, load_rulebook
from contracts.fields import ConsentType

TODAY = date(2026, 11, 22)
REQUIRED_REGIMES = {"gdpr", "uk_gdpr", "bipa", "cubi", "ccpa", "generic"}


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return load_rulebook()


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    copy = tmp_path / "rules"
    shutil.copytree(str(files("consent") / "rules"), copy)
    return copy


def every_regime(rulebook: Rulebook) -> Iterator[Regime]:
    yield from rulebook.regimes.values()


def test_the_promised_regimes_are_there(rulebook: Rulebook) -> None:
    assert rulebook.regimes.keys() >= REQUIRED_REGIMES


def test_every_regime_has_a_current_text_of_every_consent_type(rulebook: Rulebook) -> None:
    for regime in every_regime(rulebook):
        for consent_type in ConsentType:
            assert regime.current_text(consent_type, TODAY).in_force(TODAY), (regime.code, consent_type)


def test_a_biometric_text_states_the_retention_of_its_ruleset(rulebook: Rulebook) -> None:
    for regime in every_regime(rulebook):
        text = regime.current_text(ConsentType.BIOMETRIC_CAPTURE, TODAY).text
        ruleset = regime.ruleset(TODAY)
        assert f"{ruleset.retention_days} days" in text, regime.code
        assert f"{ruleset.consent_valid_days} days" in text, regime.code


def test_the_published_schedule_is_the_retention_that_is_applied(rulebook: Rulebook) -> None:
    for regime in every_regime(rulebook):
        ruleset = regime.ruleset(TODAY)
        biometric = [item for item in ruleset.retention_schedule if item.category == "biometric"]
        assert [item.days for item in biometric] == [ruleset.retention_days], regime.code


def test_every_text_tells_how_to_withdraw_before_asking(rulebook: Rulebook) -> None:
    for regime in every_regime(rulebook):
        for text in regime.texts:
            assert "withdraw" in text.text.lower(), (regime.code, text.consent_type)


def test_marketing_and_processing_are_asked_apart_from_capture(rulebook: Rulebook) -> None:
    for regime in every_regime(rulebook):
        digests = {regime.current_text(consent_type, TODAY).sha256 for consent_type in ConsentType}
        assert len(digests) == len(ConsentType), regime.code


def test_no_regime_keeps_biometrics_longer_than_illinois_allows(rulebook: Rulebook) -> None:
    assert all(regime.ruleset(TODAY).retention_days <= 1095 for regime in every_regime(rulebook))


def test_texas_destroys_within_a_year(rulebook: Rulebook) -> None:
    assert rulebook.regimes["cubi"].ruleset(TODAY).retention_days <= 365


def test_a_regime_file_is_named_after_its_code() -> None:
    for file in (files("consent") / "rules" / "regimes").iterdir():
        assert json.loads(file.read_text(encoding="utf-8"))["code"] == file.name.removesuffix(".json")


def test_an_edited_text_refuses_to_load(rules: Path) -> None:
    text = rules / "texts" / "gdpr" / "marketing" / "2026-01.en.txt"
    text.write_text(text.read_text(encoding="utf-8").replace("You can withdraw", "You can not withdraw"))
    with pytest.raises(ValueError, match="was edited; add a new version"):
        load_rulebook(rules)


def test_a_place_under_a_regime_without_rules_refuses_to_load(rules: Path) -> None:
    (rules / "regimes" / "bipa.json").unlink()
    with pytest.raises(ValueError, match="no regime file for: bipa"):
        load_rulebook(rules)


def test_a_later_ruleset_takes_over_on_its_day_and_the_earlier_stays_on_record(rules: Path) -> None:
    file = rules / "regimes" / "ccpa.json"
    regime = json.loads(file.read_text(encoding="utf-8"))
    earlier = regime["rulesets"][0]
    later = {**earlier, "version": "2027-01", "effective_from": "2027-01-01", "retention_days": 365}
    regime["rulesets"] = [later, {**earlier, "effective_to": "2027-01-01"}]
    file.write_text(json.dumps(regime), encoding="utf-8")
    ccpa = load_rulebook(rules).regimes["ccpa"]
    assert ccpa.ruleset(date(2026, 12, 31)).version == "2026-01"
    assert ccpa.ruleset(date(2027, 1, 1)).version == "2027-01"
    assert ccpa.ruleset(date(2027, 1, 1)).digest != ccpa.ruleset(date(2026, 12, 31)).digest


def test_a_gap_between_rulesets_is_filled_by_the_earlier_one(rules: Path) -> None:
    file = rules / "regimes" / "ccpa.json"
    regime = json.loads(file.read_text(encoding="utf-8"))
    regime["rulesets"][0]["effective_to"] = "2026-06-01"
    file.write_text(json.dumps(regime), encoding="utf-8")
    assert load_rulebook(rules).regimes["ccpa"].ruleset(TODAY).version == "2026-01"


def test_rules_answer_for_days_before_the_first_entry(rulebook: Rulebook) -> None:
    long_ago = date(1999, 1, 1)
    assert rulebook.territories(long_ago).regimes("DE", None) == ("gdpr",)
    assert rulebook.regimes["gdpr"].current_text("marketing", long_ago).version == "2026-01"
