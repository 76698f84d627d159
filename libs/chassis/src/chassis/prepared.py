"""Statements of the library that go straight to the driver: built once, without its session on the way.

What the library does around one statement costs more than the driver and the server together. For those that
every request makes.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = dialect()  # type: ignore[no-untyped-call]


class Prepared:
    """A statement with names for its values, as the driver takes it."""

    def __init__(self, statement: Executable) -> None:
        """Take a statement without lists of values (`IN` of a parameter); TypeError for one that has them."""
        compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        if (
            not isinstance(compiled, SQLCompiler)
            or compiled.positiontup is None
            or compiled.post_compile_params
        ):
            raise TypeError("this statement is made anew for its values")
        self.text = compiled.string
        self._names = compiled.positiontup
        # What the statement says by itself, such as a number that was written into it.
        bound = [compiled.binds[name] for name in self._names]
        self._fixed = {
            name: each.value for name, each in zip(self._names, bound, strict=True) if not each.required
        }
        writers = [compiled._bind_processors.get(name) for name in self._names]  # noqa: SLF001
        self._writers = [(place, write) for place, write in enumerate(writers) if callable(write)]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the text; KeyError for one that is missing."""
        given = {**self._fixed, **values}
        ordered = [given[name] for name in self._names]
        for place, write in self._writers:
            ordered[place] = write(ordered[place])
        return ordered
