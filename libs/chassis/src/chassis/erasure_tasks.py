"""How a service notes what is asked of it about an erasure: statements about its tasks."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import Insert


def again_if_held(inserted: Insert) -> Insert:
    """Return what also makes a task due again that waits under holds, or whose holds are others now.

    Messages come in any order: of two lists of holds the one with the higher version counts.
    """
    tasks, fresh = inserted.table, inserted.excluded
    newer = fresh.holds_version > tasks.c.holds_version
    same = (fresh.holds_version == tasks.c.holds_version) & tasks.c.held_at.is_not(None)
    return inserted.on_conflict_do_update(
        index_elements=[tasks.c.erasure_id],
        set_={
            "holds": fresh.holds,
            "holds_version": fresh.holds_version,
            "held_at": None,
            "attempts": 0,
            "next_attempt_at": func.clock_timestamp(),
            # Whoever works on it under other holds is too late, and changes nothing.
            "lease_token": None,
            "lease_until": None,
        },
        where=tasks.c.completed_at.is_(None) & (newer | same),
    )
