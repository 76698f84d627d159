"""Make the next signing key."""

from datetime import datetime, timedelta

from chassis.db import UnitOfWork
from identity.keyring import PUBLISH_BEFORE_USE, new_private_key, seal_private_key
from identity.models import SigningKey
from identity.repositories import SigningKeys
from identity.tokens import public_jwk


async def rotate_keys(
    uow: UnitOfWork, *, secret: bytes, now: datetime, publish_for: timedelta = PUBLISH_BEFORE_USE
) -> SigningKey:
    """Store a key that is published from now on and signs when every verifier has had time to see it."""
    key = new_private_key()
    jwk = public_jwk(key)
    row = SigningKey(
        kid=jwk["kid"],
        public_jwk=jwk,
        sealed_private_key=seal_private_key(key, kid=jwk["kid"], secret=secret),
        active_from=now + publish_for,
        created_at=now,
    )
    SigningKeys(uow.session).add(row)
    return row
