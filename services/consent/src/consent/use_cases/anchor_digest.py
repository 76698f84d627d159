"""Keep the digest of a document that others keep, so that nobody can make one up later and date it back."""

from chassis.db import UnitOfWork
from consent.repositories.transparency_log import TransparencyLog

ERASURE_CERTIFICATE = "erasure-certificate"


async def anchor_digest(uow: UnitOfWork, digest: str, kind: str) -> None:
    """Make a leaf of a document's SHA-256 in hex; the same one of a kind is kept once."""
    await TransparencyLog(uow.session).anchor(kind, digest)
