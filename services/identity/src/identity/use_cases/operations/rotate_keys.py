"""Make the next signing key."""

from datetime import timedelta

from chassis.db import UnitOfWork
from chassis.sealing import SealingKeys
from chassis.signing_keys import PUBLISH_BEFORE_USE, new_private_key, public_jwk, seal_private_key
from identity.models import StoredSigningKey
from identity.repositories import StoredSigningKeys


async def rotate_keys(
    uow: UnitOfWork, *, sealing: SealingKeys, publish_for: timedelta = PUBLISH_BEFORE_USE
) -> StoredSigningKey:
    """Store a key that is published from now on and signs when every verifier has had time to see it."""
    key, now = new_private_key(), uow.now()
    jwk = public_jwk(key)
    row = StoredSigningKey(
        kid=jwk["kid"],
        public_jwk=jwk,
        sealed_private_key=seal_private_key(key, kid=jwk["kid"], keys=sealing),
        active_from=now + publish_for,
        created_at=now,
    )
    StoredSigningKeys(uow.session).add(row)
    return row
