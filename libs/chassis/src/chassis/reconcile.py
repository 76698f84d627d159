"""Asks the coordinator over HTTP for the erasures it still waits for, so that a lost message loses none."""

from datetime import datetime
from uuid import UUID

from chassis.erasure import OpenErasure
from chassis.http import ServiceClient

PAGE = 200


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
                )
                for item in page["items"]
            ]
            if not page["next"]:
                return found
            after = str(page["next"])
