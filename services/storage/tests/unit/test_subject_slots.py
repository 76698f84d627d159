"""Objects with a wrapped content key for each data subject: layout, vectors, and that each opens alone."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from chassis.sealing import SEAL_OVERHEAD, SealBroken
from storage import subject_slots
from storage.sealing import ObjectLabel, new_data_key, seal
from storage.subject_slots import SLOT_BYTES, content_type_of, open_sealed, overhead_of, seal_for

ADA, GRACE = UUID(int=5), UUID(int=6)
HEAD_BYTES = 5
KEYS = {ADA: bytes(range(32)), GRACE: bytes(range(32, 64))}
LABEL = ObjectLabel(ADA, "p/original", 3)
PICTURE = b"a picture"
# Random bytes counted up from 0: the content key, the content's nonce, and a nonce for each slot.
FOR_ONE = bytes.fromhex(
    "4956530201fea55130cb54ebc12c2d2e2f3031323334353637b3394ceb8e7441a5563757c168f6c01583280b1bca"
    "c4c3e2103803c3b487ddad1ba9cc0b8255d372ae8ca6477fec1744202122232425262728292a2bb31ad6190fec6f"
    "7c7f8a9b0cfbd76ae106d60e51481dbb0a4a"
)
FOR_TWO = bytes.fromhex(
    "4956530202fea55130cb54ebc12c2d2e2f3031323334353637b3394ceb8e7441a5563757c168f6c01583280b1bca"
    "c4c3e2103803c3b487ddad1ba9cc0b8255d372ae8ca6477fec17449d30eecd6c57285938393a3b3c3d3e3f404142"
    "43c18a13fc792a51bcf004dccff56968a02b662028a20fb032f75d792229c779653a1ff3210ccac61db668b08cbd"
    "71bde5202122232425262728292a2bb31ad6190fec6f7c7f8a9b0cfbd76ae106d60e51481dbb0a4a"
)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let random bytes be counted."""
    numbers: Iterator[int] = itertools.cycle(range(256))
    monkeypatch.setattr(subject_slots.os, "urandom", lambda size: bytes(next(numbers) for _ in range(size)))


@pytest.mark.usefixtures("counted")
def test_what_is_sealed_is_the_frozen_bytes_for_one_subject() -> None:
    assert seal_for(PICTURE, data_keys={ADA: KEYS[ADA]}, label=LABEL) == FOR_ONE


@pytest.mark.usefixtures("counted")
def test_what_is_sealed_is_the_frozen_bytes_for_two_subjects() -> None:
    assert seal_for(PICTURE, data_keys=KEYS, label=LABEL) == FOR_TWO


@pytest.mark.parametrize("person", KEYS)
def test_the_frozen_bytes_open_for_each_subject_and_for_nobody_else(person: UUID) -> None:
    assert open_sealed(FOR_TWO, data_key=KEYS[person], label=replace(LABEL, owner=person)) == PICTURE
    for key, owner in ((new_data_key(), person), (KEYS[person], uuid4())):
        with pytest.raises(SealBroken):
            open_sealed(FOR_TWO, data_key=key, label=replace(LABEL, owner=owner))


def test_who_is_not_among_the_subjects_opens_nothing() -> None:
    assert open_sealed(FOR_ONE, data_key=KEYS[ADA], label=LABEL) == PICTURE
    with pytest.raises(SealBroken):
        open_sealed(FOR_ONE, data_key=KEYS[GRACE], label=replace(LABEL, owner=GRACE))


def test_a_slot_can_be_taken_out_and_the_others_still_open() -> None:
    for place, (gone, stays) in enumerate(((ADA, GRACE), (GRACE, ADA))):
        at = HEAD_BYTES + place * SLOT_BYTES
        without = FOR_TWO[: HEAD_BYTES - 1] + b"\x01" + FOR_TWO[HEAD_BYTES:at] + FOR_TWO[at + SLOT_BYTES :]
        assert open_sealed(without, data_key=KEYS[stays], label=replace(LABEL, owner=stays)) == PICTURE
        with pytest.raises(SealBroken):
            open_sealed(without, data_key=KEYS[gone], label=replace(LABEL, owner=gone))


def test_the_media_type_says_how_much_longer_an_object_is() -> None:
    for sealed in (FOR_ONE, FOR_TWO, seal(PICTURE, data_key=KEYS[ADA], label=LABEL)):
        assert len(sealed) - overhead_of(content_type_of(sealed)) == len(PICTURE)
    for other in ("", "image/jpeg", content_type_of(FOR_ONE) + "x", "x" + content_type_of(FOR_ONE)):
        assert overhead_of(other) == SEAL_OVERHEAD


def test_what_was_sealed_before_still_opens() -> None:
    sealed = seal(PICTURE, data_key=KEYS[ADA], label=LABEL)
    assert open_sealed(sealed, data_key=KEYS[ADA], label=LABEL) == PICTURE


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    for position in range(len(FOR_ONE) * 8):
        broken = bytearray(FOR_ONE)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            open_sealed(bytes(broken), data_key=KEYS[ADA], label=LABEL)
    for length in range(len(FOR_ONE)):
        with pytest.raises(SealBroken):
            open_sealed(FOR_ONE[:length], data_key=KEYS[ADA], label=LABEL)


@pytest.mark.parametrize(
    "change", [{"object_id": "another/original"}, {"version": 2}, {"data_class": "export"}]
)
def test_an_object_in_another_place_does_not_open(change: dict[str, object]) -> None:
    with pytest.raises(SealBroken):
        open_sealed(FOR_ONE, data_key=KEYS[ADA], label=replace(LABEL, **change))


def test_the_same_bytes_are_sealed_differently_each_time() -> None:
    assert len({seal_for(PICTURE, data_keys=KEYS, label=LABEL) for _ in range(9)}) == 9


@pytest.mark.parametrize("many", [0, 256])
def test_an_object_has_one_subject_to_255(many: int) -> None:
    with pytest.raises(ValueError, match="subjects"):
        seal_for(PICTURE, data_keys={uuid4(): os.urandom(32) for _ in range(many)}, label=LABEL)
