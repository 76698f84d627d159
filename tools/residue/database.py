"""Every row of every table of every database, as PostgreSQL dumps them; and what its planner remembers."""

from collections.abc import Mapping

import asyncpg

from cluster.environment import ADMIN
from residue.canaries import Canaries
from residue.searched import Searched

ANSWER_SECONDS = 10
PIECE = 1_000_000
"""Bytes of a dump that are searched at once."""
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
# The planner keeps samples of what stands in columns, until the server analyzes the table anew.
_PLANNER = "samples of the planner"
_SAMPLES = """
    SELECT schemaname, tablename, attname, most_common_vals::text, histogram_bounds::text,
        most_common_elems::text
    FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


async def search_databases(values: Mapping[str, str], canaries: Canaries) -> list[Searched]:
    """Search every database of the server."""
    connection = await open_database(values, "postgres")
    try:
        names = [name for (name,) in await connection.fetch(_DATABASES)]
    finally:
        await connection.close()
    return [place for name in names for place in await _search_database(values, name, canaries)]


async def open_database(values: Mapping[str, str], database: str) -> asyncpg.Connection:
    """Return a superuser's connection."""
    return await asyncpg.connect(
        host="127.0.0.1",
        port=int(values["POSTGRES_PORT"]),
        user=ADMIN,
        password=values["POSTGRES_ADMIN_PASSWORD"],
        database=database,
        timeout=ANSWER_SECONDS,
    )


async def _search_database(values: Mapping[str, str], database: str, canaries: Canaries) -> list[Searched]:
    connection = await open_database(values, database)
    try:
        tables = [table for (table,) in await connection.fetch(_TABLES)]
        # The names come from the catalogue, quoted by PostgreSQL itself.
        dumps = {f"{database}.{table}": f"SELECT * FROM {table}" for table in tables}  # noqa: S608
        if tables:
            dumps[f"{database}, {_PLANNER}"] = _SAMPLES
        return [await _search_dump(connection, name, query, canaries) for name, query in dumps.items()]
    finally:
        await connection.close()


async def _search_dump(connection: asyncpg.Connection, name: str, query: str, canaries: Canaries) -> Searched:
    place, rest = Searched("table", name, passing=name.endswith(_PLANNER)), b""

    async def take(data: bytes) -> None:
        nonlocal rest
        rest += data
        if len(rest) >= PIECE:
            whole, newline, rest = rest.rpartition(b"\n")
            place.look_at_lines(canaries, whole + newline)

    await connection.copy_from_query(query, output=take)
    place.look_at_lines(canaries, rest)
    return place
