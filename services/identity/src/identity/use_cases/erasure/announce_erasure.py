"""Tell every participant that a person is to be erased, but for what is held."""

from chassis.db import UnitOfWork
from contracts.identity import UserDeleted
from identity.repositories import OpenErasure


def announce_erasure(uow: UnitOfWork, erasure: OpenErasure) -> None:
    """Say it with the commit; harmless when said again, and the holds that it names then are what counts."""
    uow.publish(
        UserDeleted(
            user_id=erasure.user_id,
            erasure_id=erasure.id,
            requested_at=erasure.requested_at,
            deadline=erasure.deadline,
            holds=erasure.holds,
            holds_version=erasure.holds_version,
        )
    )
