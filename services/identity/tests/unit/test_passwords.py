import os

import pytest

from identity.settings import hashing_threads


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 3), (64, 3)])
def test_hashing_leaves_a_core_to_those_who_are_signed_in(monkeypatch, cores, threads) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert hashing_threads() == threads
