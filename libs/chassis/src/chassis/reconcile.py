"""Asks the coordinator over HTTP what it waits for and what is held, so that a lost message loses none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from chassis.erasure import OpenErasure
from chassis.holds import Hold, ListHolds
from chassis.http import ServiceClient

PAGE = 200


class AsksIdentity(Protocol):
    """What asks identity over HTTP."""

    @property
    def identity(self) -> ServiceClient:
        """The client of identity."""


class OpenErasures:
    """The coordinator's list of erasures that the asking service has not reported."""

    def __init__(self, identity: ServiceClient) -> None:
        self._identity = identity

    async def __call__(self) -> list[OpenErasure]:
        """Return all of them, page by page; raises `NeighbourUnavailable`."""
        found: list[OpenErasure] = []
        after = ""
        while True:
            page = await self._identity.get("/internal/erasures", params={"after": after, "limit": str(PAGE)})
            found += [
                OpenErasure(
                    erasure_id=UUID(item["erasure_id"]),
                    user_id=UUID(item["user_id"]),
                    requested_at=datetime.fromisoformat(item["requested_at"]),
                    deadline=datetime.fromisoformat(item["deadline"]),
                    # A coordinator of before knows none.
                    holds=tuple(map(Hold.read, item.get("holds", ()))),
                    holds_version=item.get("holds_version", 0),
                )
                for item in page["items"]
            ]
            if not page["next"]:
                return found
            after = str(page["next"])


def holds_of_identity(opened: AsksIdentity) -> ListHolds:
    """Return what lists all that the coordinator says this service must not erase yet, by person.

    It raises `NeighbourUnavailable`.
    """

    async def standing() -> Mapping[UUID, Sequence[Hold]]:
        found: dict[UUID, list[Hold]] = {}
        answer = await opened.identity.get("/internal/holds")
        for item in answer["items"]:
            found.setdefault(UUID(item["user_id"]), []).append(Hold.read(item))
        return found

    return standing
