"""Tiles: the nodes of the tree as C2SP tlog-tiles publishes them, 256 neighbours of every eighth level; pure.

A tile is named by its level, its index there and its width in hashes. A partial one, of less than 256 hashes,
is the beginning of the full one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consent.transparency.merkle import HASH_BYTES, Range, cover, fold, hash_range, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
_HIGHEST_LEVEL = 63
_LARGEST_INDEX = 2**63 - 1
_LEVEL = re.compile(r"0|[1-9]\d?")
_INDEX = re.compile(r"(?:x\d{3}/)*\d{3}")
_PARTIAL = re.compile(r"(.+)\.p/([1-9]\d{0,2})")


class MalformedTilePath(ValueError):
    """The path names no tile."""


@dataclass(frozen=True, order=True)
class Tile:
    """The address of a tile."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def range(self) -> Range:
        """The nodes of its level that it holds, the second index not included."""
        return self.index * WIDTH, self.index * WIDTH + self.width

    @property
    def path(self) -> str:
        """What stands after `tile/` in its address."""
        groups: list[str] = []
        rest = self.index
        while rest or not groups:
            rest, group = divmod(rest, 1000)
            groups.append(f"{group:03}")
        number = "/".join([*(f"x{group}" for group in reversed(groups[1:])), groups[0]])
        return f"{self.level}/{number}" + (f".p/{self.width}" if self.width < WIDTH else "")

    @classmethod
    def at(cls, level: str, number: str) -> "Tile":
        """Return the tile at `tile/<level>/<number>`; raises `MalformedTilePath` for every other spelling."""
        partial = _PARTIAL.fullmatch(number)
        index, width = (partial[1], int(partial[2])) if partial else (number, WIDTH)
        if not _LEVEL.fullmatch(level) or not _INDEX.fullmatch(index) or (partial and width >= WIDTH):
            raise MalformedTilePath
        found = cls(int(level), int(index.replace("x", "").replace("/", "")), width)
        if (
            found.level > _HIGHEST_LEVEL
            or found.range[1] > _LARGEST_INDEX
            or found.path != f"{level}/{number}"
        ):
            raise MalformedTilePath
        return found


def width_at(level: int, index: int, size: int) -> int:
    """Return how many hashes a tile has in a tree of that size: 0 when it is beyond it."""
    nodes = size >> (HEIGHT * level)
    return max(0, min(WIDTH, nodes - index * WIDTH))


def tiles_of(ranges: Iterable[Range], size: int) -> set[Tile]:
    """Return the tiles, as they are in a tree of that size, that the hashes of these ranges are made of."""
    found = set()
    for begin, end in ranges:
        for level, index in cover(begin, end):
            tile_level, tile_index = _place(level, index)[:2]
            found.add(Tile(tile_level, tile_index, width_at(tile_level, tile_index, size)))
    return found


def hashes_of(ranges: Iterable[Range], tiles: Mapping[tuple[int, int], bytes]) -> list[bytes]:
    """Return the hash of each range, out of the bytes of the tiles by level and index."""

    def read(level: int, index: int) -> bytes:
        tile_level, tile_index, begin, count = _place(level, index)
        held = tiles[tile_level, tile_index]
        return full_root(_hashes(held, begin, count))

    return [hash_range(begin, end, read) for begin, end in ranges]


def full_root(hashes: list[bytes]) -> bytes:
    """Return the root of a full subtree over so many nodes, a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def edge_of(size: int) -> list[Range]:
    """Return the ranges of the full subtrees that a tree of that size consists of."""
    return [(index << level, (index + 1) << level) for level, index in cover(0, size)]


def root_from(size: int, tiles: Mapping[tuple[int, int], bytes]) -> bytes:
    """Return the root of a tree out of its tiles."""
    return fold(hashes_of(edge_of(size), tiles))


def _place(level: int, index: int) -> tuple[int, int, int, int]:
    """Return level and index of the tile that a node is made of, and from where in it, and how many."""
    tile_level, above = divmod(level, HEIGHT)
    first = index << above
    return tile_level, first >> HEIGHT, first % WIDTH, 1 << above


def _hashes(held: bytes, begin: int, count: int) -> list[bytes]:
    part = held[begin * HASH_BYTES : (begin + count) * HASH_BYTES]
    if len(part) != count * HASH_BYTES:
        raise ValueError("the tile is too narrow")
    return [part[at : at + HASH_BYTES] for at in range(0, len(part), HASH_BYTES)]
