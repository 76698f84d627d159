"""Searches everything that the platform stores for traces of one person, with the operator's keys.

Nothing is left out by name: every row of every table of every database, what the planner remembers of them,
every object, version and unfinished upload of every bucket with its bytes, every Redis key and value, every
message of every queue, every log and every mail.
"""

import asyncio
from collections.abc import Mapping

from residue.canaries import Canaries
from residue.database import search_databases
from residue.objects import search_buckets
from residue.queues import search_queues
from residue.redis_keys import search_redis
from residue.searched import Searched

__all__ = ["Canaries", "Searched", "search"]


async def search(values: Mapping[str, str], canaries: Canaries) -> list[Searched]:
    """Look into every server; `values` are the variables of `.env`."""
    parts = await asyncio.gather(
        search_databases(values, canaries),
        search_buckets(values, canaries),
        search_redis(values, canaries),
        search_queues(values, canaries),
    )
    return [place for part in parts for place in part]
