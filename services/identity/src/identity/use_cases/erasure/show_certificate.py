"""Show the certificate of an erasure, to whoever holds its token."""

from uuid import UUID

from chassis.db import UnitOfWork
from contracts.topology import erasure_participants
from identity.erasure.policy import NotCertifiedYet
from identity.repositories import Certificates, Erasures
from identity.use_cases.erasure.show_erasure import find_erasure, find_frozen


async def show_certificate(uow: UnitOfWork, *, erasure_id: UUID, token: str) -> str:
    """Return the newest certificate, a compact JWS; raises `NotFound` like the status, and `NotCertifiedYet`.

    That of a partial erasure stays what was true until a later one supersedes it.
    """
    if await find_frozen(uow, erasure_id=erasure_id, token=token) is not None:
        raise NotCertifiedYet(erasure_participants())
    await find_erasure(uow, erasure_id=erasure_id, token=token)
    certificate = await Certificates(uow.session).newest(erasure_id)
    if certificate is None:
        participants = await Erasures(uow.session).participants(erasure_id)
        raise NotCertifiedYet(
            [it.service for it in participants if it.completed_at is None and it.retired_at is None]
        )
    return certificate.token
