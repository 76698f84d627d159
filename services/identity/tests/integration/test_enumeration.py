"""Nobody learns from an answer, or from how long it took, whether an address has an account (S5, shorter)."""

import pytest

from support.api_process import api_process
from support.enumeration import QUESTIONS, WARMING_PAIRS, compare
from support.people import create_accounts
from support.timing import separability

PAIRS = 60
SEED = 5
# So few pairs of equal kinds reach 0.5 ± 0.05, on a busy machine too; one hash more or less is 1.0.
MOST_AUC = 0.75


@pytest.fixture(scope="session")
def settings(production_settings):
    return production_settings


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
async def test_answer_does_not_tell_whether_the_address_has_an_account(platform, service, question) -> None:
    password_hash = await service.hasher.hash("seven blue irises")
    known = await create_accounts(platform, PAIRS + WARMING_PAIRS, password_hash=password_hash)
    async with api_process(platform, "identity", IDENTITY_REGISTRATION_DISCLOSURE="conceal") as api:
        pairs = await compare(api, question, known, seed=SEED)
    assert pairs.auc <= MOST_AUC, pairs


def test_times_that_differ_are_told_apart() -> None:
    assert separability([1, 2, 3], [4, 5, 6]) == 1
    assert separability([4, 5, 6], [1, 2, 3]) == 1
    assert separability([1, 2, 3], [1, 2, 3]) == 0.5
    assert separability([1, 3], [2, 4]) == 0.75
