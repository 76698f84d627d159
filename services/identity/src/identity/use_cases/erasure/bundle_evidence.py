"""Put together what proves an erasure, and note who took it."""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chassis.db import Database
from chassis.ids import new_id
from identity.erasure.evidence import as_json, packed
from identity.erasure.published import read_published
from identity.models import Erasure, ErasureHold, ErasureParticipant, EvidenceBundle
from identity.repositories import Certificates, Erasures, EvidenceBundles, Holds
from identity.use_cases.erasure.show_erasure import steps_of

CERTIFICATE = "certificate.jwt"


async def bundle_evidence(
    database: Database, *, erasure_id: UUID, made_by: str, published_at: str
) -> tuple[bytes, list[str]] | None:
    """Return the bundle and the names of what is missing from it; None for an unknown erasure.

    `published_at` is where the gateway answers. The bundle is noted before anybody has it, so that none
    leaves without a trace.
    """
    async with database.read_only() as session:
        erasure = await Erasures(session).find(erasure_id)
        participants = await Erasures(session).participants(erasure_id)
        certificate = await Certificates(session).newest(erasure_id)
        holds = [] if erasure is None else await Holds(session).told_of(erasure_id)
    if erasure is None:
        return None
    published = await read_published(published_at)
    files = {"erasure.json": as_json(_told(erasure, participants, holds)), **published.files}
    missing = dict(published.missing)
    if certificate is None:
        missing[CERTIFICATE] = "not every participant has reported"
    else:
        files[CERTIFICATE] = certificate.token.encode()
    made_at = database.clock.now()
    bundle = packed(
        files,
        missing=missing,
        made_at=made_at,
        said={"erasure_id": str(erasure_id), "made_by": made_by},
    )
    async with database.unit_of_work() as uow:
        EvidenceBundles(uow.session).add(
            EvidenceBundle(
                id=new_id(),
                erasure_id=erasure_id,
                made_at=made_at,
                made_by=made_by,
                digest=hashlib.sha256(bundle).hexdigest(),
            )
        )
    return bundle, sorted(missing)


def _told(
    erasure: Erasure, participants: Sequence[ErasureParticipant], holds: Sequence[ErasureHold]
) -> dict[str, Any]:
    return {
        "erasure_id": str(erasure.id),
        "deadline": _moment(erasure.deadline),
        "steps": [{"step": it.step.value, "at": _moment(it.at)} for it in steps_of(erasure)],
        "times_asked": erasure.times_asked,
        "participants": [
            {
                "service": part.service,
                "completed_at": _moment(part.completed_at),
                "erased": part.erased,
                "digest": part.digest,
                "held": part.held or {},
                "retired_at": _moment(part.retired_at),
                "retired_reason": part.retired_reason,
            }
            for part in participants
        ],
        "holds": [
            {
                "hold_id": str(hold.id),
                "service": hold.service,
                "kind": hold.kind,
                "code": hold.code,
                "legal_reference": hold.legal_reference,
                "approver": hold.approver,
                "placed_at": _moment(hold.placed_at),
                "expires_at": _moment(hold.expires_at),
                "ended_at": _moment(hold.ended_at),
                "released_by": hold.released_by,
                "release_reason": hold.release_reason,
            }
            for hold in holds
        ],
    }


def _moment(at: Any) -> str | None:
    return None if at is None else str(at.isoformat())
