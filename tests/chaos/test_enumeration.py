"""500 pairs of questions about addresses with and without an account can't be told apart (S5)."""

import secrets

import pytest

from support.api_process import api_process
from support.enumeration import QUESTIONS, WARMING_PAIRS, compare
from support.people import create_accounts

PAIRS = 500
MOST_AUC = 0.55
MOST_GAP_MILLISECONDS = 5.0


@pytest.fixture
async def known(platform, password_hash) -> list[str]:
    """Return addresses that have an account."""
    platform.migrate("identity")
    await platform.clean("identity")
    await platform.forget_counts()
    return await create_accounts(platform, PAIRS + WARMING_PAIRS, password_hash=password_hash)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
async def test_known_and_unknown_addresses_are_answered_alike(platform, known, question) -> None:
    seed = secrets.randbits(32)
    async with api_process(platform, "identity", IDENTITY_REGISTRATION_DISCLOSURE="conceal") as api:
        pairs = await compare(api, question, known, seed=seed)
    print(f"\n{question.name}: {pairs}, seed {seed}")
    assert pairs.auc <= MOST_AUC
    assert pairs.gap <= MOST_GAP_MILLISECONDS
