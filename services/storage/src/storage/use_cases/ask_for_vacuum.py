"""Ask SeaweedFS to give back the space of deleted objects: until then their sealed bytes stay on its disks.

The master does nothing where nothing was deleted, so it is asked in turns, and an erasure waits for none.
"""

from typing import Final

import aiohttp

from chassis.faults import TransientFault

LEAST_GARBAGE: Final = "0.00001"
"""From which part of a volume on it is written anew without what was deleted."""
CALL_SECONDS: Final = 120.0


class VacuumNotAsked(TransientFault):
    """The master could not be asked, or did not do it; the next turn asks again."""


async def ask_for_vacuum(master_url: str) -> None:
    """Have every volume written anew that has deleted objects; raises `VacuumNotAsked`.

    The address is that of a master, or of what lets this one call through to it (`/vol/vacuum`).
    """
    limit = aiohttp.ClientTimeout(total=CALL_SECONDS)
    asked = {"garbageThreshold": LEAST_GARBAGE}
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(f"{master_url.rstrip('/')}/vol/vacuum", params=asked) as answer,
        ):
            if not answer.ok:
                raise VacuumNotAsked(f"the store's master answered {answer.status}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise VacuumNotAsked("the store's master can't be reached") from error
