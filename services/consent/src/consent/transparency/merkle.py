"""The Merkle tree of RFC 6962 §2.1 over SHA-256: nodes, roots, proofs and their verification; pure.

A node is named by its level and its index there: it is the hash of the leaves from `index << level` to, not
including, `(index + 1) << level`. A range is a pair of leaf indexes, the second one not included.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()

Range = tuple[int, int]
ReadNode = Callable[[int, int], bytes]


class InvalidProof(ValueError):
    """The hashes do not prove what they are said to prove."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class CompactRange:
    """A growing tree, of which only the full subtrees on its right edge are kept."""

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        """Take a tree of `size` leaves by the nodes of its `cover`; raises ValueError for more or fewer."""
        if len(nodes) != size.bit_count():
            raise ValueError(
                f"a tree of {size} leaves has {size.bit_count()} full subtrees, not {len(nodes)}"
            )
        self.size = size
        self._nodes = list(nodes)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add the hash of the next leaf; return level, index and hash of every node that it completes."""
        completed = []
        level, index, node = 0, self.size, leaf
        while index & 1:
            node = node_hash(self._nodes.pop(), node)
            level, index = level + 1, index >> 1
            completed.append((level, index, node))
        self._nodes.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        return fold(self._nodes)


def fold(nodes: Sequence[bytes]) -> bytes:
    """Return the hash of neighbouring full subtrees, the largest first; of none that of the empty tree."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree of these leaf hashes."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def cover(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield level and index of the full subtrees that make up a range, from left to right."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        yield level, begin >> level
        begin += 1 << level


def _split(begin: int, end: int) -> int:
    """Return where RFC 6962 divides a range of two leaves or more."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that the leaf is in a tree of that size (RFC 6962 §2.1.1).

    Raises ValueError for a leaf that is not.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    begin, end, found = 0, size, []
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that a tree begins with an older one (RFC 6962 §2.1.2).

    Empty for the empty tree and for the same one; raises ValueError for an older tree that is larger.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not begin with {old}")
    if old == 0:
        return []
    begin, end, found, moved = 0, size, [], False
    while end != old:
        middle = _split(begin, end)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin, moved = middle, True
    if moved:
        found.append((begin, end))
    return found[::-1]


def hash_range(begin: int, end: int, read: ReadNode) -> bytes:
    """Return the hash of a range that a proof is made of, out of the nodes that `read` knows."""
    return fold([read(level, index) for level, index in cover(begin, end)])


def _siblings(node: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each hash on the way from a node to the root, and whether it stands on the left.

    `last` is the last node of the level (RFC 9162 §2.1.3.2). Raises `InvalidProof` for too many or too few.
    """
    for sibling in path:
        if last == 0:
            raise InvalidProof("the proof has more hashes than the tree has levels")
        on_the_left = bool(node & 1) or node == last
        yield sibling, on_the_left
        if on_the_left:
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    if last:
        raise InvalidProof("the proof has fewer hashes than the tree has levels")


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `InvalidProof` unless the leaf hash stands at that index of the tree (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    computed = leaf
    for sibling, on_the_left in _siblings(index, size - 1, proof):
        computed = node_hash(sibling, computed) if on_the_left else node_hash(computed, sibling)
    if computed != root:
        raise InvalidProof(f"leaf {index} is not in this tree of {size} leaves")


def verify_consistency(old: int, size: int, proof: Sequence[bytes], *, old_root: bytes, root: bytes) -> None:
    """Raise `InvalidProof` unless the tree begins with the older one (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= size:
        raise InvalidProof(f"a tree of {size} leaves does not begin with {old}")
    if old in (0, size):
        if proof or old_root != (root if old else EMPTY_ROOT):
            raise InvalidProof(f"the trees of {old} and of {size} leaves are not the same")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise InvalidProof("the proof is empty")
    right_ones = (~(old - 1) & old).bit_length() - 1
    first = second = path[0]
    for sibling, on_the_left in _siblings(old - 1 >> right_ones, size - 1 >> right_ones, path[1:]):
        if on_the_left:
            first = node_hash(sibling, first)
        second = node_hash(sibling, second) if on_the_left else node_hash(second, sibling)
    if (first, second) != (old_root, root):
        raise InvalidProof(f"the tree of {size} leaves does not begin with the one of {old}")
