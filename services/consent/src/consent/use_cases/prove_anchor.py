"""Prove that the digest of a document is in the log."""

from chassis.db import Database
from chassis.problems import NotFound
from consent.repositories.transparency_log import TransparencyLog
from consent.transparency.leaves import Source
from consent.use_cases.prove_inclusion import Inclusion, prove_inclusion


async def prove_anchor(database: Database, *, kind: str, digest: str) -> tuple[bytes, Inclusion | None]:
    """Return the leaf of a document's SHA-256 in hex, and where it stands: None until it is sealed.

    Raises `NotFound` for a digest that was never kept.
    """
    async with database.read_only() as session:
        found = await TransparencyLog(session).find_anchor(kind, digest)
    if found is None:
        raise NotFound("The log knows no document with this digest.")
    position, leaf = found
    return leaf, await prove_inclusion(database, position, Source.ANCHOR)
