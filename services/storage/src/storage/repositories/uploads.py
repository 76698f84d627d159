"""The statements with which uploads begin, and arrive in pieces."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Select,
    Table,
    Uuid,
    bindparam,
    func,
    select,
    update,
)

from chassis import scripts
from chassis.db import UnitOfWork
from chassis.prepared import Prepared
from chassis.tables import Moment
from chassis.tombstones import is_buried
from storage.models import SCHEMA, ConsentGate, Photo
from storage.quotas import Quota, day_of
from storage.repositories.usages import begun_within

# What a photo is before its bytes arrive.
_BEGUN = (
    "id",
    "user_id",
    "s3_key",
    "declared_type",
    "consent_id",
    "consent_epoch",
    "upload_token_hash",
    "upload_expires_at",
    "upload_attempts",
    "upload_length",
    "address_proved",
    "created_at",
    "updated_at",
)
_PHOTOS = cast("Table", Photo.__table__)
_ONE_INSERTED = "INSERT 0 1"


def _keep() -> Select[Any]:
    photo = _PHOTOS.c
    kept = (
        update(_PHOTOS)
        .where(
            photo.id == bindparam("photo", type_=Uuid),
            photo.upload_attempts == bindparam("attempt", type_=Integer),
            photo.closed_at.is_(None),
            photo.received_at.is_(None),
        )
        .values(
            upload_parts=bindparam("parts", type_=ARRAY(BigInteger)),
            upload_lease_until=bindparam("lease", type_=Moment),
            updated_at=bindparam("now", type_=Moment),
        )
        .returning(photo.id)
        .cte("kept")
    )
    return select(is_buried(SCHEMA), select(func.count()).select_from(kept).scalar_subquery())


_KEEP = Prepared(_keep())


async def keep_parts(
    uow: UnitOfWork,
    user_id: UUID,
    photo_id: UUID,
    *,
    attempt: int,
    parts: Sequence[int],
    lease: datetime | None,
) -> bool:
    """Lock the person and list the parts that have arrived, unless the attempt is over or its upload closed.

    `lease` is how long the attempt may still write. False when nothing was changed. Raises `PersonErased`.
    """
    fields = {"photo": photo_id, "attempt": attempt, "parts": list(parts), "lease": lease, "now": uow.now()}
    ((_, kept),) = await uow.fetch_about(user_id, _KEEP, fields)
    return bool(kept)


async def begin_photo(
    uow: UnitOfWork, photo: Photo, *, ended_epoch: int, person_hash: str, quota: Quota
) -> bool:
    """Insert a photo if the person's gate knows the consent that it rests on as live; in one round trip.

    The gate knows every end up to `ended_epoch`, too. False as well for somebody who is erased, and for whom
    a limit seems to be met.
    """
    stones, gates = uow.tables.tombstones, ConsentGate.__table__
    fields = [getattr(photo, name) for name in _BEGUN]
    values = (scripts.literal(str(value) if isinstance(value, int) else value) for value in fields)
    # A withdrawal comes wholly before it or wholly after: it waits for the share that is taken here.
    # Every value is a literal in which nothing has a meaning.
    live = (
        f"SELECT user_id FROM {gates} AS gate"  # noqa: S608
        f" WHERE user_id = {scripts.literal(photo.user_id)}"
        f" AND granted AND epoch = {photo.consent_epoch:d} AND withdrawn_epoch >= {ended_epoch:d}"
        f" AND NOT EXISTS ({scripts.find_tombstone(stones, person_hash)}) FOR SHARE OF gate"
    )
    more = photo.upload_length or 1
    counted = begun_within(quota, day=day_of(photo.created_at), more_bytes=more, people="live")
    script = (
        f"{scripts.lock_subject(stones, person_hash)};"  # noqa: S608
        f" WITH live AS ({live}), counted AS ({counted})"
        f" INSERT INTO {_PHOTOS.fullname} ({', '.join(_BEGUN)}) SELECT {', '.join(values)} FROM counted"
    )
    return await uow.statements.run(script, purpose="begin a photo") == _ONE_INSERTED
