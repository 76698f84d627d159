"""Keep the gate as consent says, and destroy what rested on a consent that was withdrawn.

Epochs decide, not the order of arrival: a gate only ever moves to a higher epoch, and what a withdrawal has
closed stays closed for every photo that rests on an epoch up to it.
"""

from uuid import UUID

from chassis.db import UnitOfWork
from storage.policy import ConsentState
from storage.repositories import DESTRUCTIONS, Photos, take_over


async def follow_consent(uow: UnitOfWork, *, user_id: UUID, state: ConsentState) -> None:
    """Move the gate, and let go of every photo that rests on what has ended; raises `PersonErased`.

    An end that is heard of after the next grant closes nothing any more, and still destroys.
    """
    now = uow.now()
    await take_over(uow, user_id, state, now=now)
    # A statement of its own, behind the gate's lock: it has to see the uploads that the lock waited for.
    if state.ended_epoch and await Photos(uow.session).release_resting_on(
        user_id, epoch=state.ended_epoch, now=now
    ):
        uow.wake(DESTRUCTIONS.name)
