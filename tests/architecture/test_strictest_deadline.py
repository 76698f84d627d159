"""What is promised before a person's laws are known keeps to every law that consent's rule files know."""

from datetime import UTC, datetime, timedelta

from consent.deadlines import erasure_deadline
from consent.rule_files import load_rulebook
from identity.erasure.settings import ErasureSettings

DAYS = 800


def test_the_first_promise_is_no_later_than_the_strictest_law_wants() -> None:
    rules = load_rulebook()
    promised = timedelta(days=ErasureSettings.model_fields["erasure_deadline_days"].default)
    today = datetime.now(UTC)
    terms = [
        due - day
        for day in (today + timedelta(days=number) for number in range(0, DAYS, 20))
        if (due := erasure_deadline(rules, rules.regimes, day)) is not None
    ]
    assert min(terms) == promised
