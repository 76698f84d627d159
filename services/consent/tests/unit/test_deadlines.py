"""The earliest deadline of all laws that hold for a person, as the dated rules say it."""

from datetime import UTC, datetime, timedelta

import pytest

from consent.deadlines import erasure_deadline
from consent.rule_files import load_rulebook

RULES = load_rulebook()
ASKED = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)


def days(*regimes):
    due = erasure_deadline(RULES, regimes, ASKED)
    return None if due is None else (due - ASKED).days


@pytest.mark.parametrize(
    ("regimes", "within"),
    [
        (["gdpr"], 30),
        (["ccpa"], 45),
        (["wa_mhmda"], 45),
        (["br"], 15),
        (["kr"], 10),
        (["nv"], 30),
        (["ccpa", "gdpr"], 30),
        (["ccpa", "br", "gdpr"], 15),
        (["bipa"], None),
        (["bipa", "ccpa"], 45),
        ([], None),
        (["of_a_later_release"], None),
    ],
)
def test_the_strictest_law_decides(regimes, within):
    assert days(*regimes) == within


@pytest.mark.parametrize(
    ("asked", "due"),
    [("2027-01-31", "2027-02-28"), ("2028-01-31", "2028-02-29"), ("2026-12-15", "2027-01-15")],
)
def test_a_month_ends_on_the_same_day_or_on_its_last(asked, due):
    found = erasure_deadline(RULES, ["gdpr"], datetime.fromisoformat(f"{asked}T12:00:00+00:00"))
    assert found == datetime.fromisoformat(f"{due}T12:00:00+00:00")


def test_the_rules_of_the_day_of_the_request_hold():
    before = RULES.regimes["gdpr"]
    (rules,) = before.rulesets
    stricter = rules.deadlines[0].model_copy(update={"within": 7, "unit": "days"})
    later = rules.model_copy(update={"effective_from": ASKED.date(), "deadlines": (stricter,)})
    first = rules.model_copy(update={"effective_to": ASKED.date()})
    changed = before.model_copy(update={"rulesets": (first, later)})
    book = RULES.model_copy(update={"regimes": {**RULES.regimes, "gdpr": changed}})
    day_before = ASKED - timedelta(days=1)
    assert erasure_deadline(book, ["gdpr"], ASKED) == ASKED + timedelta(days=7)
    assert erasure_deadline(book, ["gdpr"], day_before) == day_before + timedelta(days=30)
