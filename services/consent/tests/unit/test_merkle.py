"""K35: the tree, its proofs and its tiles, held against RFC 6962 as it is written and against sigstore."""

import hashlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore._internal import merkle as sigstore
from sigstore.errors import VerificationError

from consent.transparency import merkle
from consent.transparency.merkle import (
    EMPTY_ROOT,
    CompactRange,
    InvalidProof,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from consent.transparency.tiles import (
    HEIGHT,
    WIDTH,
    MalformedTilePath,
    Tile,
    hashes_of,
    root_from,
    tiles_of,
    width_at,
)

LEAVES = [leaf_hash(f"leaf {number}".encode()) for number in range(1500)]
SIZES = st.integers(min_value=1, max_value=len(LEAVES))


def mth(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash, in the words of RFC 6962 §2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def tiles_in(size: int) -> dict[tuple[int, int], bytes]:
    """Every tile of the tree, made as C2SP tlog-tiles defines it."""
    found, level, nodes = {}, 0, LEAVES[:size]
    while nodes:
        for begin in range(0, len(nodes), WIDTH):
            found[level, begin // WIDTH] = b"".join(nodes[begin : begin + WIDTH])
        full = len(nodes) // WIDTH
        nodes = [mth(nodes[at * WIDTH : (at + 1) * WIDTH]) for at in range(full)]
        level += 1
    return found


def prove(ranges: list[tuple[int, int]], size: int) -> list[bytes]:
    tiles = tiles_in(size)
    needed = tiles_of(ranges, size)
    read = {(tile.level, tile.index): tiles[tile.level, tile.index] for tile in needed}
    assert all(len(read[tile.level, tile.index]) == 32 * tile.width for tile in needed)
    return hashes_of(ranges, read)


def as_sigstore_sees_it(data: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    inclusion = SimpleNamespace(log_index=index, tree_size=size, hashes=proof, root_hash=root)
    inner = SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=data)
    sigstore.verify_merkle_inclusion(SimpleNamespace(_inner=inner))


@given(SIZES)
def test_k35_root_is_that_of_the_rfc(size: int) -> None:
    assert root_of(LEAVES[:size]) == mth(LEAVES[:size]) == root_from(size, tiles_in(size))


def test_k35_empty_tree_has_the_hash_of_nothing() -> None:
    assert root_of([]) == EMPTY_ROOT == mth([])


@given(SIZES, st.data())
def test_k35_inclusion_is_proved_to_an_implementation_that_is_not_ours(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    root = mth(LEAVES[:size])
    proof = prove(inclusion_ranges(index, size), size)

    as_sigstore_sees_it(f"leaf {index}".encode(), index, size, proof, root)
    verify_inclusion(LEAVES[index], index, size, proof, root)

    with pytest.raises(VerificationError):
        as_sigstore_sees_it(f"leaf {index}!".encode(), index, size, proof, root)


@given(SIZES, st.data())
def test_k35_inclusion_is_refused_when_anything_is_changed(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    root, proof = mth(LEAVES[:size]), prove(inclusion_ranges(index, size), size)
    changed = [
        (LEAVES[index], index, size, [*proof, EMPTY_ROOT], root),
        (EMPTY_ROOT, index, size, proof, root),
        (LEAVES[index], index, size, proof, EMPTY_ROOT),
        (LEAVES[index], size, size, proof, root),
        (LEAVES[index], -1, size, proof, root),
    ]
    if proof:
        at = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        changed.append((LEAVES[index], index, size, [*proof[:at], EMPTY_ROOT, *proof[at + 1 :]], root))
        changed.append((LEAVES[index], index, size, proof[:-1], root))
    for arguments in changed:
        with pytest.raises(InvalidProof):
            verify_inclusion(*arguments)


def joined(old: int, size: int, proof: list[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Return both roots that a consistency proof leads to, by the steps of sigstore's code for paths."""
    shift = (old & -old).bit_length() - 1
    seed, rest = (old_root, proof) if old == 1 << shift else (proof[0], proof[1:])
    inner = sigstore._decomp_inclusion_proof(old - 1, size)[0] - shift
    mask = (old - 1) >> shift
    right_ones = [node for at, node in enumerate(rest[:inner]) if mask >> at & 1]
    first = sigstore._chain_border_right(seed, [*right_ones, *rest[inner:]])
    second = sigstore._chain_border_right(sigstore._chain_inner(seed, rest[:inner], mask), rest[inner:])
    return first, second


@given(SIZES, st.data())
def test_k35_consistency_is_proved_between_any_two_trees(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(min_value=0, max_value=size))
    old_root, root = mth(LEAVES[:old]), mth(LEAVES[:size])
    proof = prove(consistency_ranges(old, size), size)

    verify_consistency(old, size, proof, old_root=old_root, root=root)
    if 0 < old < size:
        assert joined(old, size, proof, old_root) == (old_root, root)


@given(SIZES, st.data())
def test_k35_rewritten_tree_is_not_consistent(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(min_value=1, max_value=size))
    edited = data.draw(st.integers(min_value=0, max_value=old - 1))
    leaves = [*LEAVES[:edited], EMPTY_ROOT, *LEAVES[edited + 1 : old]]
    proof = prove(consistency_ranges(old, size), size)

    with pytest.raises(InvalidProof):
        verify_consistency(old, size, proof, old_root=mth(leaves), root=mth(LEAVES[:size]))
    with pytest.raises(InvalidProof):
        verify_consistency(
            old, size, [*proof, EMPTY_ROOT], old_root=mth(LEAVES[:old]), root=mth(LEAVES[:size])
        )


@given(SIZES, st.data())
def test_k35_tree_grows_on_from_its_edge_and_names_each_full_tile(size: int, data: st.DataObject) -> None:
    begun = data.draw(st.integers(min_value=0, max_value=size))
    edge = hashes_of(
        [(index << level, index + 1 << level) for level, index in merkle.cover(0, begun)], tiles_in(begun)
    )
    tree, completed = CompactRange(begun, edge), {}
    for leaf in LEAVES[begun:size]:
        completed |= {(level, index): node for level, index, node in tree.append(leaf)}

    assert tree.root() == mth(LEAVES[:size])
    full = {index for level, index in completed if level == HEIGHT}
    assert full == set(range(begun // WIDTH, size // WIDTH))
    for index in full:
        assert completed[HEIGHT, index] == mth(LEAVES[index * WIDTH : (index + 1) * WIDTH])


def test_k35_edge_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="2 full subtrees"):
        CompactRange(3, [EMPTY_ROOT])


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "0/000"),
        (Tile(0, 67, 112), "0/067.p/112"),
        (Tile(1, 1067), "1/x001/067"),
        (Tile(2, 1234067, 1), "2/x001/x234/067.p/1"),
    ],
)
def test_k35_tile_has_the_path_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.at(*path.split("/", 1)) == tile


@pytest.mark.parametrize(
    "path",
    [
        *(
            "0/0",
            "00/000",
            "64/000",
            "0/x000/067",
            "0/001/067",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
        ),
        *(
            "0/000.p",
            "0/entries",
            "0/000/",
            "-1/000",
            "0/x001/x234",
            "a/000",
            "0/٠٠٠",
            "0/" + "x999/" * 7 + "999",
        ),
    ],
)
def test_k35_other_spellings_name_no_tile(path: str) -> None:
    with pytest.raises(MalformedTilePath):
        Tile.at(*path.split("/", 1))


def test_k35_widths_are_those_of_the_specification() -> None:
    size = 70_000
    assert [width_at(0, index, size) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_at(1, index, size) for index in (0, 1, 2)] == [256, 17, 0]
    assert [width_at(2, index, size) for index in (0, 1)] == [1, 0]
