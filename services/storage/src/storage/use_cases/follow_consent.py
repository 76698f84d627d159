"""Keep the gate as consent says, and let go of what rested on a consent that has ended.

Epochs decide, not the order of arrival: a gate only ever moves to a higher epoch, and what an end has closed
stays closed for every photo that rests on an epoch up to it, unless it waits and a new consent takes it over.
"""

from datetime import timedelta
from uuid import UUID

from chassis.db import UnitOfWork
from contracts.fields import PhotoDeletionReason
from storage.policy import ConsentState
from storage.repositories import DESTRUCTIONS, WithdrawnPhotos, take_over


async def follow_consent(
    uow: UnitOfWork,
    *,
    user_id: UUID,
    state: ConsentState,
    grace: timedelta,
    reason: PhotoDeletionReason = PhotoDeletionReason.WITHDRAWAL,
) -> None:
    """Move the gate, and let go of every photo that rests on what has ended; raises `PersonErased`.

    What a withdrawal ends is destroyed after the grace, or rests on the next consent that comes before; what
    ends for any other reason is destroyed at once, also if it has waited. An end that is heard of after the
    next grant closes nothing any more, and still lets go.
    """
    now = uow.now()
    await take_over(uow, user_id, state, now=now)
    photos, ended = WithdrawnPhotos(uow.session), state.ended_epoch
    if reason is not PhotoDeletionReason.WITHDRAWAL or not grace:
        # A statement of its own, behind the gate's lock: it has to see the uploads that the lock waited for.
        if ended and await photos.release(user_id, epoch=ended, reason=reason, now=now):
            uow.wake(DESTRUCTIONS.name)
    else:
        await _let_wait(uow, user_id, ended, grace)


async def _let_wait(uow: UnitOfWork, user_id: UUID, ended: int, grace: timedelta) -> None:
    now, photos, changed = uow.now(), WithdrawnPhotos(uow.session), 0
    if ended:
        folders, changed = await photos.put_off(user_id, epoch=ended, now=now, until=now + grace)
        if folders:
            uow.wake(DESTRUCTIONS.name)
    changed += await photos.reopen(user_id, now=now)
    if changed:
        # An archive has the photos that its owner may see, and no others.
        await photos.reopen_exports(user_id)
