"""Every query about certificates of erasures."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, select

from chassis import scripts
from chassis.repository import Repository
from identity.models import CertificateKey, ErasureCertificate

_KEYS = cast("Table", CertificateKey.__table__)
_CERTIFICATES = cast("Table", ErasureCertificate.__table__)


class Certificates(Repository):
    """What was signed, and with which keys."""

    async def newest(self, erasure_id: UUID) -> ErasureCertificate | None:
        """Return the certificate of an erasure that was signed last; None before the first."""
        statement = (
            select(ErasureCertificate)
            .where(ErasureCertificate.erasure_id == erasure_id)
            .order_by(ErasureCertificate.issued_at.desc())
            .limit(1)
        )
        return (await self._session.scalars(statement)).one_or_none()

    async def public_keys(self) -> list[dict[str, Any]]:
        """Return the JWK of every key that has signed, the first one first."""
        statement = select(_KEYS.c.public_jwk).order_by(_KEYS.c.first_signed_at)
        return [json.loads(jwk) for jwk in await self._session.scalars(statement)]


def keep_certificate(
    erasure_id: UUID, *, digest: str, token: str, public_jwk: Mapping[str, Any], issued_at: datetime
) -> list[str]:
    """Return the scripts that keep a certificate, and its key with the first one that it has signed."""
    kid = public_jwk["kid"]
    key = {"kid": kid, "public_jwk": json.dumps(public_jwk), "first_signed_at": issued_at}
    signed = {"erasure_id": erasure_id, "digest": digest, "kid": kid, "token": token, "issued_at": issued_at}
    return [scripts.insert_once(_KEYS, key), scripts.insert_row(_CERTIFICATES, signed)]
