"""Every query about the log that a service makes: what waits for it, its leaves, nodes and checkpoints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from chassis.repository import Repository
from consent.models import (
    LogAnchor,
    LogCheckpoint,
    LogCosignature,
    LogLeaf,
    LogNode,
    LogQueue,
    LogUpload,
)
from consent.repositories.rows import ENTRIES
from consent.transparency.leaves import Source, anchor_leaf, entry_leaf
from consent.transparency.merkle import leaf_hash
from consent.transparency.tiles import Tile

ANCHORS = cast("Table", LogAnchor.__table__)
QUEUE = cast("Table", LogQueue.__table__)
LEAVES = cast("Table", LogLeaf.__table__)
NODES = cast("Table", LogNode.__table__)
CHECKPOINTS = cast("Table", LogCheckpoint.__table__)
COSIGNATURES = cast("Table", LogCosignature.__table__)
UPLOADS = cast("Table", LogUpload.__table__)

LEAF_COLUMNS = [column for column in ENTRIES.c if column.name != "position" and "on_erase" not in column.info]
"""All of an entry that names nobody: what an erasure leaves as it is."""

# One sealer at a time; the number stands for nothing else in this database.
_SEALER = 0x6C6F67
_LOCK = select(func.pg_try_advisory_xact_lock(literal_column(str(_SEALER))))
_NEWS = select(QUEUE.c.position).limit(1)
_SIZE = select(func.coalesce(func.max(CHECKPOINTS.c.tree_size), 0))
_TAKE = (
    delete(QUEUE)
    .where(
        tuple_(QUEUE.c.source, QUEUE.c.position).in_(
            select(QUEUE.c.source, QUEUE.c.position)
            .order_by(QUEUE.c.source, QUEUE.c.position)
            .limit(bindparam("most"))
        )
    )
    .returning(QUEUE.c.source, QUEUE.c.position)
)
_ENTRIES = select(ENTRIES.c.position, *LEAF_COLUMNS).where(
    ENTRIES.c.position == func.any(bindparam("positions", type_=ARRAY(BigInteger)))
)
_ANCHORS = select(ANCHORS).where(
    ANCHORS.c.position == func.any(bindparam("positions", type_=ARRAY(BigInteger)))
)
_FIND_ANCHOR = select(ANCHORS).where(
    ANCHORS.c.kind == bindparam("kind"), ANCHORS.c.digest == bindparam("digest")
)
_TILES = sql(
    """
    SELECT wanted.level, wanted.tile, CASE WHEN wanted.level = 0 THEN (
        SELECT string_agg(leaf_hash, ''::bytea ORDER BY leaf_index) FROM consent.log_leaves
        WHERE leaf_index >= wanted.first AND leaf_index < wanted.beyond
    ) ELSE (
        SELECT string_agg(node_hash, ''::bytea ORDER BY node_index) FROM consent.log_nodes AS node
        WHERE node.level = wanted.level AND node_index >= wanted.first AND node_index < wanted.beyond
    ) END
    FROM unnest(:levels, :tiles, :firsts, :beyonds) AS wanted (level, tile, first, beyond)
    """
).bindparams(
    bindparam("levels", type_=ARRAY(SmallInteger)),
    *(bindparam(name, type_=ARRAY(BigInteger)) for name in ("tiles", "firsts", "beyonds")),
)
_COSIGNED = (
    select(func.string_agg(COSIGNATURES.c.line, literal_column("'' ORDER BY witness")))
    .where(COSIGNATURES.c.tree_size == CHECKPOINTS.c.tree_size)
    .scalar_subquery()
)
_LATEST = (
    select(
        CHECKPOINTS.c.tree_size,
        CHECKPOINTS.c.root_hash,
        CHECKPOINTS.c.sealed_at,
        CHECKPOINTS.c.note + func.coalesce(_COSIGNED, ""),
        CHECKPOINTS.c.jws,
    )
    .order_by(CHECKPOINTS.c.tree_size.desc())
    .limit(1)
)
_NEWEST = _LATEST.subquery("newest")
_LOCATE = (
    select(LEAVES.c.leaf_index, *_NEWEST.c)
    .join_from(LEAVES, _NEWEST, true())
    .where(LEAVES.c.source == bindparam("source"), LEAVES.c.position == bindparam("position"))
)
_ADD_LEAVES = sql(
    "INSERT INTO consent.log_leaves (leaf_index, source, position, leaf_hash)"
    " SELECT * FROM unnest(:indexes, :sources, :positions, :hashes)"
).bindparams(
    bindparam("indexes", type_=ARRAY(BigInteger)),
    bindparam("sources", type_=ARRAY(String)),
    bindparam("positions", type_=ARRAY(BigInteger)),
    bindparam("hashes", type_=ARRAY(LargeBinary)),
)


@dataclass(frozen=True)
class Leaf:
    """A leaf that is about to be sealed: which row it is of, and its hash."""

    source: Source
    position: int
    hash: bytes


@dataclass(frozen=True)
class SealedCheckpoint:
    """A checkpoint as it is published: the note with the lines of the witnesses, and the JWS."""

    size: int
    root: bytes
    sealed_at: datetime
    note: str
    jws: str


class TransparencyLog(Repository):
    """The log as rows."""

    async def has_work(self) -> bool:
        """Tell whether anything is in no leaf yet."""
        return await self._session.scalar(_NEWS) is not None

    async def lock(self) -> bool:
        """Be the only sealer until the transaction ends; False when there is one already."""
        return bool(await self._session.scalar(_LOCK))

    async def size(self) -> int:
        """Return how many leaves the last checkpoint has."""
        return int(await self._session.scalar(_SIZE) or 0)

    async def take(self, most: int) -> tuple[list[Leaf], int]:
        """Take what waits, by position; return the leaves, and how many have lost their row."""
        taken = [
            (Source(source), position)
            for source, position in await self._session.execute(_TAKE, {"most": most})
        ]
        found: dict[tuple[Source, int], bytes] = {}
        for source, query, data in (
            (Source.ENTRY, _ENTRIES, leaf_of_entry),
            (Source.ANCHOR, _ANCHORS, leaf_of_anchor),
        ):
            positions = [position for taken_source, position in taken if taken_source is source]
            if positions:
                rows = await self._session.execute(query, {"positions": positions})
                found |= {(source, row["position"]): leaf_hash(data(dict(row))) for row in rows.mappings()}
        leaves = [Leaf(source, position, found[source, position]) for source, position in sorted(found)]
        return leaves, len(taken) - len(leaves)

    async def tiles(self, tiles: Iterable[Tile]) -> dict[tuple[int, int], bytes]:
        """Return the hashes of tiles by level and index, as many of each as there are."""
        wanted = sorted(tiles)
        rows = await self._session.execute(
            _TILES,
            {
                "levels": [tile.level for tile in wanted],
                "tiles": [tile.index for tile in wanted],
                "firsts": [tile.range[0] for tile in wanted],
                "beyonds": [tile.range[1] for tile in wanted],
            },
        )
        return {(level, index): hashes or b"" for level, index, hashes in rows}

    async def append(
        self, begin: int, leaves: Sequence[Leaf], nodes: Sequence[tuple[int, int, bytes]]
    ) -> None:
        """Write leaves from that index on, and the roots of full tiles by their level and index."""
        await self._session.execute(
            _ADD_LEAVES,
            {
                "indexes": list(range(begin, begin + len(leaves))),
                "sources": [leaf.source.value for leaf in leaves],
                "positions": [leaf.position for leaf in leaves],
                "hashes": [leaf.hash for leaf in leaves],
            },
        )
        if nodes:
            names = ("level", "node_index", "node_hash")
            await self._session.execute(
                insert(NODES), [dict(zip(names, node, strict=True)) for node in nodes]
            )

    async def add_checkpoint(self, sealed: SealedCheckpoint) -> None:
        """Write a checkpoint."""
        row = {"tree_size": sealed.size, "root_hash": sealed.root, "sealed_at": sealed.sealed_at}
        await self._session.execute(insert(CHECKPOINTS), row | {"note": sealed.note, "jws": sealed.jws})

    async def latest(self) -> SealedCheckpoint | None:
        """Return the last checkpoint with the cosignatures that it has; None before the first."""
        row = (await self._session.execute(_LATEST)).one_or_none()
        return None if row is None else SealedCheckpoint(*row)

    async def locate(self, source: Source, position: int) -> tuple[int, SealedCheckpoint] | None:
        """Return the index of the leaf of that row, and the last checkpoint; None until it is sealed."""
        asked = {"source": source.value, "position": position}
        row = (await self._session.execute(_LOCATE, asked)).one_or_none()
        return None if row is None else (row[0], SealedCheckpoint(*row[1:]))

    async def note_of(self, size: int) -> str:
        """Return the signed note of the checkpoint of that size."""
        query = select(CHECKPOINTS.c.note).where(CHECKPOINTS.c.tree_size == size)
        return str((await self._session.execute(query)).scalar_one())

    async def anchor(self, kind: str, digest: str) -> None:
        """Keep a digest, once."""
        row = {"kind": kind, "digest": digest}
        await self._session.execute(upsert(ANCHORS).values(row).on_conflict_do_nothing())

    async def find_anchor(self, kind: str, digest: str) -> tuple[int, bytes] | None:
        """Return the position of a digest that is kept, and its leaf; None for one that is not."""
        rows = await self._session.execute(_FIND_ANCHOR, {"kind": kind, "digest": digest})
        found = rows.mappings().one_or_none()
        return None if found is None else (found["position"], leaf_of_anchor(dict(found)))

    async def cosigned_by(self, witness: str) -> int:
        """Return the size of the largest checkpoint that a witness has cosigned; 0 for none."""
        query = select(func.max(COSIGNATURES.c.tree_size)).where(COSIGNATURES.c.witness == witness)
        return int(await self._session.scalar(query) or 0)

    async def add_cosignature(self, size: int, witness: str, line: str) -> None:
        """Keep what a witness has signed, once."""
        row = {"tree_size": size, "witness": witness, "line": line}
        await self._session.execute(upsert(COSIGNATURES).values(row).on_conflict_do_nothing())


def leaf_of_entry(row: Mapping[str, Any]) -> bytes:
    """Return the leaf of an entry, given a row of `LEAF_COLUMNS`."""
    return entry_leaf({column.name: row[column.name] for column in LEAF_COLUMNS})


def leaf_of_anchor(row: Mapping[str, Any]) -> bytes:
    """Return the leaf of an anchor, given its row."""
    return anchor_leaf(row["kind"], row["digest"], row["anchored_at"])
