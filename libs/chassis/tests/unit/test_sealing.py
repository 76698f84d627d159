"""Sealed bytes name their key: several keys open at once, a wrong one is told by its setting's name."""

import os

import pytest

from chassis.sealing import SEAL_OVERHEAD, OlderFormat, SealBroken, SealingKeys, UnknownKey, joined, key_id

CONTEXT = b"what it is"


def keys(*those: bytes) -> SealingKeys:
    return SealingKeys("SOME_KEY", those)


def test_the_first_key_seals_and_every_key_opens() -> None:
    old, new = os.urandom(32), os.urandom(32)
    before = keys(old).seal(b"plain", context=CONTEXT)
    both = keys(new, old)
    after = both.seal(b"plain", context=CONTEXT)
    assert both.open(before, context=CONTEXT) == both.open(after, context=CONTEXT) == b"plain"
    assert (before[1:5], after[1:5]) == (key_id(old), key_id(new))
    assert len(after) == len(b"plain") + SEAL_OVERHEAD


def test_a_key_that_is_not_here_is_named_with_its_setting() -> None:
    stranger = os.urandom(32)
    sealed = keys(stranger).seal(b"plain", context=CONTEXT)
    with pytest.raises(UnknownKey, match=f"SOME_KEY does not hold the key {key_id(stranger).hex()}"):
        keys(os.urandom(32)).open(sealed, context=CONTEXT)


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    mine = keys(os.urandom(32))
    sealed = mine.seal(b"plain", context=CONTEXT)
    for position in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            mine.open(bytes(broken), context=CONTEXT)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            mine.open(sealed[:length], context=CONTEXT)


def test_another_context_does_not_open_it() -> None:
    mine = keys(os.urandom(32))
    with pytest.raises(SealBroken):
        mine.open(mine.seal(b"plain", context=CONTEXT), context=b"something else")
    assert joined(b"a", "bc") != joined(b"ab", "c")


def test_an_older_format_that_is_not_expected_does_not_open() -> None:
    mine = keys(os.urandom(32))
    for older in (None, OlderFormat(CONTEXT)):
        with pytest.raises(SealBroken):
            mine.open(b"\x01" + os.urandom(60), context=CONTEXT, older=older)


@pytest.mark.parametrize("wrong", [[], [b"short"], [os.urandom(32), b""]])
def test_what_is_no_key_is_refused_by_name(wrong: list[bytes]) -> None:
    with pytest.raises(ValueError, match="SOME_KEY"):
        SealingKeys("SOME_KEY", wrong)
