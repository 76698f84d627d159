from datetime import UTC, datetime, timedelta

import pytest

from consent.preferences import Choice, OptOutSource, Preferences, Signal, next_year

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=90)
NOTHING = Preferences()
OUT = Choice(opt_out=True, limit=False).applied_to(NOTHING, NOW)
BY_SIGNAL = Signal().applied_to(NOTHING, NOW)


def test_ca_5_a_signal_opts_out_and_is_honoured_in_the_same_moment() -> None:
    assert BY_SIGNAL.flags == ("opt_out_of_sale_and_sharing",)
    assert (BY_SIGNAL.opted_out_at, BY_SIGNAL.gpc_honored_at, BY_SIGNAL.source) == (
        NOW,
        NOW,
        OptOutSource.GPC,
    )


def test_ca_5_nobody_is_asked_again_for_twelve_months_whoever_opted_out() -> None:
    assert (
        BY_SIGNAL.reprompt_not_before == OUT.reprompt_not_before == datetime(2027, 11, 22, 9, 30, tzinfo=UTC)
    )


def test_ca_5_the_signal_sent_again_moves_nothing() -> None:
    assert Signal().applied_to(BY_SIGNAL, LATER) == BY_SIGNAL


def test_a_signal_after_a_choice_to_opt_out_is_shown_as_honoured_and_keeps_the_rest() -> None:
    honoured = Signal().applied_to(OUT, LATER)

    assert honoured.gpc_honored_at == LATER
    assert (honoured.source, honoured.opted_out_at, honoured.flags) == (OptOutSource.PERSON, NOW, OUT.flags)


@pytest.mark.parametrize("held", [OUT, BY_SIGNAL])
def test_only_a_choice_opts_in(held) -> None:
    opted_in = Choice(opt_out=False, limit=False).applied_to(held, LATER)

    assert opted_in == Preferences(source=OptOutSource.PERSON)
    assert Signal().applied_to(opted_in, LATER).source is OptOutSource.GPC


def test_ca_6_limiting_is_a_choice_of_its_own() -> None:
    limited = Choice(opt_out=False, limit=True).applied_to(NOTHING, NOW)

    assert (limited.flags, limited.source) == (("limit_sensitive_data_use",), None)
    assert limited.reprompt_not_before == next_year(NOW)
    both = Choice(opt_out=True, limit=True).applied_to(limited, LATER)
    assert (both.limited_at, both.opted_out_at, both.reprompt_not_before) == (NOW, LATER, next_year(LATER))
    out_only = Choice(opt_out=True, limit=False).applied_to(both, LATER + timedelta(days=1))
    assert (out_only.limited_at, out_only.opted_out_at) == (None, LATER)
    assert out_only.reprompt_not_before == next_year(LATER)


@pytest.mark.parametrize("limit", [False, True])
@pytest.mark.parametrize("opt_out", [False, True])
def test_what_holds_already_is_left_as_it_is(opt_out, limit) -> None:
    choice = Choice(opt_out=opt_out, limit=limit)
    held = choice.applied_to(NOTHING, NOW)

    assert choice.applied_to(held, LATER) == held


@pytest.mark.parametrize(
    ("moment", "after"),
    [
        (datetime(2028, 2, 29, 23, 59, tzinfo=UTC), datetime(2029, 3, 1, 23, 59, tzinfo=UTC)),
        (datetime(2027, 2, 28, tzinfo=UTC), datetime(2028, 2, 28, tzinfo=UTC)),
        (datetime(2027, 3, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_twelve_months_end_on_a_day_that_there_is(moment, after) -> None:
    assert next_year(moment) == after
