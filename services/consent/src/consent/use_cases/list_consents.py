"""Show a person everything they ever agreed to, page by page."""

from dataclasses import dataclass
from uuid import UUID

from chassis.db import UnitOfWork
from chassis.problems import NotFound, PersonErased
from consent.policy import Consent, EntryKind, consent_of, refusal_of
from consent.repositories import Ledger


class PageNotFound(NotFound):
    """The page is to begin behind a consent that is not the caller's."""

    detail = "You have no consent with the id given as `after`. Leave it out to begin with the newest."


@dataclass(frozen=True)
class Page:
    """Some consents, newest first, and the id behind which the next page begins; None on the last one."""

    consents: list[Consent]
    following: UUID | None


async def list_consents(
    uow: UnitOfWork, *, user_id: UUID, after: UUID | None, limit: int, refusals: bool = False
) -> Page:
    """Return a page of the person's consents, those that have ended too, and refusals if asked for.

    Raises `PageNotFound`, and `PersonErased` for someone whose erasure has begun.
    """
    if await uow.is_erased(user_id):
        raise PersonErased
    ledger = Ledger(uow.session)
    before = None if after is None else await ledger.said(user_id, after)
    if after is not None and before is None:
        raise PageNotFound
    found = await ledger.grants(user_id, before=before, limit=limit + 1, refusals=refusals)
    consents = [
        refusal_of(grant.entry)
        if grant.entry.kind == EntryKind.REFUSAL
        else consent_of(grant.entry, withdrawn_at=grant.withdrawn_at, followed_by=grant.followed_by)
        for grant in found[:limit]
    ]
    return Page(consents, following=consents[-1].id if len(found) > limit else None)
