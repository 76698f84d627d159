"""K35: proofs, tiles, checkpoints and cosignatures, held against aics-tlog where it runs (Python 3.12)."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.merkle import consistency_ranges, inclusion_ranges, leaf_hash, root_of
from consent.transparency.note import COSIGNATURE, Note, Signer
from consent.transparency.tiles import Tile, hashes_of, tiles_of, width_at

aics = pytest.importorskip("aics_tlog", reason="aics-tlog needs Python 3.12")

DATA = [f"leaf {number}".encode() for number in range(1500)]
LEAVES = [leaf_hash(each) for each in DATA]
SIZES = st.integers(min_value=1, max_value=len(DATA))
SEED = hashlib.sha256(b"seed").digest()


class OurTiles:
    """Tiles by the paths of ours, as their reader asks for them."""

    def __init__(self, size: int) -> None:
        self._hashes = {0: LEAVES[:size]}
        level = 0
        while len(self._hashes[level]) >= 256:
            below = self._hashes[level]
            level += 1
            full = range(0, len(below) // 256 * 256, 256)
            self._hashes[level] = [root_of(below[at : at + 256]) for at in full]
        self.size = size

    def read(self, path: str) -> bytes:
        tile = Tile.at(*path.removeprefix("tile/").split("/", 1))
        begin, end = tile.range
        assert end <= len(self._hashes[tile.level])
        return b"".join(self._hashes[tile.level][begin:end])

    def prove(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        tiles = tiles_of(ranges, self.size)
        return hashes_of(ranges, {(it.level, it.index): self.read(f"tile/{it.path}") for it in tiles})


@given(SIZES, st.data())
def test_k35_their_verifier_takes_our_proofs(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    old = data.draw(st.integers(min_value=1, max_value=size))
    tiles, theirs = OurTiles(size), aics.MerkleTree(DATA[:size])

    inclusion = tiles.prove(inclusion_ranges(index, size))
    consistency = tiles.prove(consistency_ranges(old, size))
    assert inclusion == theirs.inclusion_proof(index)
    assert consistency == theirs.consistency_proof(old)
    assert aics.verify_inclusion(LEAVES[index], index, size, inclusion, theirs.root())
    assert aics.verify_consistency(old, size, theirs.root(old), theirs.root(), consistency)
    assert not aics.verify_consistency(old, size, theirs.root(old - 1), theirs.root(), consistency)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1024, 1500])
def test_k35_their_reader_takes_our_tiles(size: int) -> None:
    tiles = OurTiles(size)
    theirs = aics.MerkleTree(DATA[:size])

    paths = [f"tile/{tile.path}" for tile in tiles_at(size)]

    reader = aics.MemoryTileReader({path: tiles.read(path) for path in paths})
    assert aics.tree_root_from_tiles(reader, size) == theirs.root()
    assert aics.inclusion_proof_from_tiles(reader, 0, size) == theirs.inclusion_proof(0)


def tiles_at(size: int) -> list[Tile]:
    found, level = [], 0
    while size >> 8 * level:
        for index in range((size >> 8 * level) // 256 + 1):
            width = width_at(level, index, size)
            if width:
                found.append(Tile(level, index, width))
        level += 1
    return found


def test_k35_their_verifier_takes_our_checkpoints_and_cosignatures() -> None:
    origin = "irisvue.example/ledger"
    log, witness = Signer(origin, SEED), Signer("witness.example/w1", SEED[::-1], COSIGNATURE)
    checkpoint = Checkpoint(origin, 3, root_of(LEAVES[:3]))
    note = str(
        Note(checkpoint.text, (log.sign(checkpoint.text), witness.cosign(checkpoint.text, 1_700_000_000)))
    )

    key = aics.parse_vkey(str(log.verifier))
    assert aics.verify_note(aics.parse_note(note), [key])
    read = aics.parse_checkpoint(checkpoint.text)
    assert (read.origin, read.size, read.root) == (origin, 3, checkpoint.root)
    cosigned = Note.parse(note).signatures[1].value
    name, public_key = witness.verifier.name, witness.verifier.public_key
    assert aics.verify_cosignature(cosigned, name, public_key, origin, 3, checkpoint.root)
    assert aics.parse_vkey(str(witness.verifier))
