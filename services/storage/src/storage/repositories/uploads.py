"""The statements of uploads that arrive in pieces."""

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

from chassis.db import UnitOfWork
from chassis.prepared import Prepared
from chassis.tables import Moment, tables_of
from storage.models import SCHEMA, Photo

_PHOTOS = cast("Table", Photo.__table__)


def _keep() -> Select[Any]:
    photo, stones = _PHOTOS.c, tables_of(SCHEMA).tombstones.c.subject_hash
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
    erased = select(stones).where(bindparam("person_hash") == stones).exists()
    return select(erased, select(func.count()).select_from(kept).scalar_subquery())


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
