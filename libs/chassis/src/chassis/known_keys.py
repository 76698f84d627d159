"""Keys that must stay what they are: their ids stand in the schema, and another key refuses the start.

Hashes under a key are found again only under the same one, so a schema that was written with one key is
worth nothing, or worse, under another: whoever was erased could come back. A newer key of tombstones stands
beside the older ones, which are needed as long as there are tombstones.
"""

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Database
from chassis.faults import is_transient
from chassis.problems import describe
from chassis.sealing import key_id

ASK_AGAIN_SECONDS = 1.0
OVERLAP = timedelta(hours=1)
"""How long after a key's first use processes may run that do not know it."""

log = structlog.get_logger(__name__)


class WrongKey(SystemExit):
    """A setting holds another key than the one that the schema was written with."""


async def check_keys(database: Database) -> None:
    """Raise `WrongKey` for a key that is not the one of its name; a name that is new is remembered.

    So is a key of tombstones, or one whose name begins like one of the schema's `lasting_keys`, that was used
    before and is not there any more. Since when each name is known is noted in the schema's `first_used`.
    """
    known = database.tables.known_keys
    given = {name: key_id(key).hex() for name, key in database.keys.items()}
    rows = [{"name": name, "key_id": found} for name, found in given.items()]
    newer = f"{database.schema.upper()}_TOMBSTONE_KEY, "
    lasting = [known.c.name.startswith(it, autoescape=True) for it in (newer, *database.lasting_keys)]
    asked = or_(known.c.name.in_(given), *lasting)
    async with database.unit_of_work() as uow:
        await uow.session.execute(insert(known).values(rows).on_conflict_do_nothing())
        expected = await uow.session.execute(
            select(known.c.name, known.c.key_id, known.c.first_used_at).where(asked)
        )
    used: dict[str, datetime] = {}
    for name, right, first_used_at in expected:
        used[name] = first_used_at
        if (found := given.get(name, "missing")) != right:
            log.critical("wrong_key", setting=name, expected=right, found=found)
            raise WrongKey(f"{name} is the key {found}; {database.schema} was written with {right}")
    database.first_used.update(used)
    if began := [at for name, at in used.items() if name.startswith(newer)]:
        database.tombstone_keys.overlap_until = max(began) + OVERLAP


async def keys_are_right(database: Database) -> bool:
    """Return whether the keys are known to be right: False while the database can't be asked.

    Raises `WrongKey`.
    """
    try:
        await check_keys(database)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("keys_not_checked_yet", error=describe(error))
        return False
    return True


async def watch_keys(database: Database) -> None:
    """Check the keys as soon as the database answers, and then wait until cancelled; raises `WrongKey`."""
    right = await keys_are_right(database)
    while not right:
        await asyncio.sleep(ASK_AGAIN_SECONDS)
        right = await keys_are_right(database)
    await asyncio.Event().wait()
