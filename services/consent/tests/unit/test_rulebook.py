import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from consent.policy import EntryKind
from consent.records import notice_id
from consent.rule_files import SCHEMAS, load_records, load_rulebook, schema_of
from consent.rulebook import Regime, Rulebook
from contracts.fields import ConsentType

TODAY = date(2026, 11, 22)
REQUIRED_REGIMES = {"gdpr", "uk_gdpr", "bipa", "cubi", "ccpa", "generic", "us_strict"}
CAPTURE = ConsentType.BIOMETRIC_CAPTURE
SIGNED = "I type my full name"
BIOMETRIC = (ConsentType.BIOMETRIC_CAPTURE, ConsentType.DATA_PROCESSING)


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
            word = {"en": "withdraw", "de": "widerrufen"}[text.locale]
            assert word in text.text.lower(), (regime.code, text.consent_type)


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
    assert ccpa.ruleset(date(2026, 12, 31)).version == "2026-11"
    assert ccpa.ruleset(date(2027, 1, 1)).version == "2027-01"
    assert ccpa.ruleset(date(2027, 1, 1)).digest != ccpa.ruleset(date(2026, 12, 31)).digest


def test_a_gap_between_rulesets_is_filled_by_the_earlier_one(rules: Path) -> None:
    file = rules / "regimes" / "ccpa.json"
    regime = json.loads(file.read_text(encoding="utf-8"))
    regime["rulesets"][0]["effective_to"] = "2026-06-01"
    file.write_text(json.dumps(regime), encoding="utf-8")
    assert load_rulebook(rules).regimes["ccpa"].ruleset(TODAY).version == "2026-11"


def test_rules_answer_for_days_before_the_first_entry(rulebook: Rulebook) -> None:
    long_ago = date(1999, 1, 1)
    assert rulebook.territories(long_ago).regimes("DE", None) == ("gdpr",)
    assert rulebook.regimes["gdpr"].current_text("marketing", long_ago).version == "2026-01"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_that_of_the_models_that_read_the_files(name: str) -> None:
    committed = (files("consent") / "rules" / name).read_text(encoding="utf-8")
    assert committed == schema_of(name), "run: python -m consent.rule_files"


@pytest.mark.parametrize(
    ("file", "break_it", "message"),
    [
        ("regimes/bipa.json", lambda it: it["rulesets"][0].pop("name"), "bipa.json: rulesets.0.name: Field"),
        (
            "regimes/bipa.json",
            lambda it: it["rulesets"][0]["obligations"][0].update(kind="telepathy"),
            "bipa.json: rulesets.0.obligations.0.kind: Input should be 'written_release'",
        ),
        (
            "regimes/bipa.json",
            lambda it: it["rulesets"][0]["obligations"][0].pop("consent_types"),
            "bipa.json: rulesets.0.obligations.0: Value error, written_release needs consent_types",
        ),
        ("regimes/md.json", lambda it: it.update(strictness=7), "md.json: strictness: Extra inputs"),
        ("regimes/md.json", lambda it: it["texts"][0].update(locale="fr"), "there is no text md/biometric"),
        (
            "territories.json",
            lambda it: it["amendments"][0].pop("places"),
            "territories.json: amendments.0.places: Field required",
        ),
    ],
)
def test_what_is_wrong_in_a_rule_file_is_said_with_the_file_and_the_field(
    rules: Path, file: str, break_it: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = json.loads((rules / file).read_text(encoding="utf-8"))
    break_it(content)
    (rules / file).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        load_rulebook(rules)


def test_a_file_that_is_no_json_is_named_with_the_line(rules: Path) -> None:
    (rules / "regimes" / "md.json").write_text('{\n"code": }')
    with pytest.raises(ValueError, match=r"md\.json is no JSON: line 2"):
        load_rulebook(rules)


@pytest.mark.parametrize(
    ("jurisdiction", "words"),
    [
        pytest.param(
            "bipa",
            ("Specific purpose", "Length of term", "1095 days", "I type my full name"),
            id="B-15b-bipa",
        ),
        pytest.param(
            "us_strict", ("Specific purpose", "Length of term", "I type my full name"), id="B-15b-us_strict"
        ),
        pytest.param("us_base", ("for one purpose", "How long", "I type my full name"), id="B-15b-us_base"),
        pytest.param("bipa", ("not sell, lease or trade", "nor otherwise profit"), id="B-15c"),
        pytest.param("bipa", ("schedule and guidelines for permanent destruction are public",), id="B-15a"),
        pytest.param(
            "wa_mhmda",
            ("for the consent to collect and for nothing else", "separate consent that names the recipients"),
            id="W-2",
        ),
        pytest.param("wa_mhmda", ("consumer health data privacy policy is public",), id="W-1"),
        pytest.param("us_strict", ("separate consent that names the recipients",), id="W-2-us_strict"),
        pytest.param(
            "ccpa", ("for each category", "Identifiers such as", "Biometric information: we keep"), id="CA-1"
        ),
        pytest.param("co", ("biometric identifier", "730 days", "processors that run our servers"), id="C-1"),
        pytest.param("nv", ("affirmative and voluntary consent", "deleted within 30 days"), id="N-1"),
        pytest.param("cubi", ("365 days",), id="T-b/c"),
        pytest.param("gdpr", ("Article 9(2)(a) GDPR", "365 days", "complain", "portability"), id="G-13"),
    ],
)
def test_a_text_says_what_its_law_asks_for(
    rulebook: Rulebook, jurisdiction: str, words: tuple[str, ...]
) -> None:
    text = rulebook.regimes[jurisdiction].current_text(CAPTURE, TODAY).text
    assert [word for word in words if word not in text] == []


def test_the_texts_of_the_gdpr_are_written_in_german_too(rulebook: Rulebook) -> None:
    for consent_type in ConsentType:
        texts = rulebook.regimes["gdpr"].current_texts(consent_type, TODAY)
        assert sorted(texts) == ["de", "en"]
        assert texts["de"].version == texts["en"].version
        # The same limits in the same order.
        assert re.findall(r"\d+ Tage", texts["de"].text) == [
            days.replace("days", "Tage") for days in re.findall(r"\d+ days", texts["en"].text)
        ]
        assert texts["de"].text.count("\n\n") == texts["en"].text.count("\n\n")


def test_every_text_is_written_in_english(rulebook: Rulebook) -> None:
    for regime in every_regime(rulebook):
        for consent_type in ConsentType:
            assert "en" in regime.current_texts(consent_type, TODAY), (regime.code, consent_type)


def test_a_record_has_terms_for_every_kind_of_entry_and_every_purpose() -> None:
    terms = load_records()
    assert set(terms.entries) == set(EntryKind)
    assert set(terms.purposes) == set(ConsentType)
    assert {terms.purposes[kind].special_category for kind in BIOMETRIC} == {True}
    signed = terms.indication_method(EntryKind.GRANT, {"signature": "Ann"})
    assert signed != terms.indication_method(EntryKind.RENEWAL, None)
    assert [kind for kind in EntryKind if terms.indication_method(kind, None) is None] == [EntryKind.EXPIRY]


def test_a_notice_is_named_by_the_very_words(rulebook: Rulebook) -> None:
    named = {
        notice_id(regime.code, text.consent_type, text.version, text.locale): text.sha256
        for regime in every_regime(rulebook)
        for text in regime.texts
    }
    assert named["gdpr/marketing/2026-01.de"] != named["gdpr/marketing/2026-01.en"]
    assert len(named) == sum(len(regime.texts) for regime in every_regime(rulebook))


def test_what_later_readers_need_stands_in_the_rules(rulebook: Rulebook) -> None:
    """Every row that has days says from when they are counted, and every deadline rests on a clause."""
    for regime in every_regime(rulebook):
        for ruleset in regime.rulesets:
            assert all((item.days is None) == (item.starts is None) for item in ruleset.retention_schedule)
            assert all(deadline.basis for deadline in ruleset.deadlines)
