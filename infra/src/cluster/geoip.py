"""Gives consent a database of places, from which it takes the hint of a network address."""

from pathlib import Path

from cluster import env_file
from cluster.errors import ClusterError
from cluster.layout import Layout

VARIABLE = "CONSENT_GEOIP_DB_PATH"
# Any address of the documentation network (RFC 5737): the file must answer, not know it.
SOMEWHERE = "192.0.2.1"


def use(layout: Layout, file: Path) -> None:
    """Name `file` in `.env`; what can't be read as a MaxMind database is a ClusterError."""
    import maxminddb  # noqa: PLC0415 - no other command needs it

    place = file.expanduser().resolve()
    try:
        with maxminddb.open_database(place) as database:
            database.get(SOMEWHERE)
            kind = database.metadata().database_type
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ClusterError(f"{place} can't be read as a MaxMind database (.mmdb): {error}") from error
    if not any(word in kind for word in ("Country", "City", "Enterprise")):
        raise ClusterError(f"{place} holds {kind}; consent needs countries or cities.")
    env_file.replace(layout.env_file, {VARIABLE: str(place)})
