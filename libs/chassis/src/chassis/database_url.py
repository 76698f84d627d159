"""Addresses of PostgreSQL, with the options of libpq and one of our own, as the driver takes them.

`postgresql+asyncpg://role:password@host:5432/database?sslmode=verify-full&sslrootcert=/run/ca.pem`; several
hosts stand beside each other with commas. `prepared_statement_cache_size=0` says that PgBouncer is in between
and lends a connection for one transaction only: nothing may then outlive its transaction.
"""

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from pydantic import SecretStr

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SPELLED_ALIKE = {"ssl": "sslmode"}
_POOLER = frozenset({"prepared_statement_cache_size", "statement_cache_size"})
_KNOWN = frozenset({"sslmode", "target_session_attrs", *_FILES})
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class DatabaseAddress:
    """Where a database is: a `dsn` as asyncpg takes it, and whether PgBouncer is in between."""

    dsn: str
    pooled: bool

    def __repr__(self) -> str:
        return f"DatabaseAddress(pooled={self.pooled})"


def read_database_url(url: SecretStr) -> DatabaseAddress:
    """Read an address; ValueError says which option is wrong, and quotes no value."""
    address, _, query = url.get_secret_value().partition("?")
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in {"postgresql", "postgresql+asyncpg", "postgres"}:
        raise ValueError("must begin with postgresql:// or postgresql+asyncpg://")
    options, pooled = {}, False
    for written, value in parse_qsl(query, keep_blank_values=True):
        name = _SPELLED_ALIKE.get(written, written)
        if name in _POOLER:
            pooled = True
        elif name not in _KNOWN:
            raise ValueError(f"has the option {name}, which is none of {', '.join(sorted(_KNOWN | _POOLER))}")
        else:
            options[name] = value
        _check(name, value)
    asked = f"?{urlencode(options)}" if options else ""
    return DatabaseAddress(f"postgresql://{rest}{asked}", pooled)


def _check(name: str, value: str) -> None:
    if name in _POOLER and value != "0":
        raise ValueError(
            f"has {name}: only 0 has a meaning, that PgBouncer shares its connections by transaction"
        )
    if name == "sslmode" and value not in _MODES:
        raise ValueError(f"has an sslmode that is none of {', '.join(_MODES)}")
    # Read again at every connection; at the start it is an answer, later it would look like an outage.
    if name in _FILES and not os.access(value, os.R_OK):
        raise ValueError(f"names a file as {name} that can't be read")
