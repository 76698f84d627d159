"""Every variable of `.env`, as `.env.example` declares it: what it means, and what it is at first start."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cluster.secret_values import GENERATORS, PUBLIC_KEYS_MARKER

FILE = Path(__file__).resolve().parents[3] / ".env.example"


@dataclass(frozen=True)
class Variable:
    """One variable; a secret has a marker such as `<password>` in the place of its value."""

    name: str
    comment: str
    value: str

    @property
    def is_port(self) -> bool:
        """Whether `--port-offset` moves it."""
        return self.name.endswith("_PORT")

    @property
    def optional(self) -> bool:
        """Whether it may be empty."""
        return not self.value

    @property
    def generate(self) -> Callable[[], str] | None:
        """What makes its value; a marker that is not known is a KeyError."""
        return GENERATORS[self.value] if self.value.startswith("<") else None

    @property
    def is_secret(self) -> bool:
        """Whether nobody else may know it."""
        return self.generate is not None and self.value != PUBLIC_KEYS_MARKER


def parsed(text: str) -> dict[str, Variable]:
    """Return the variables that a text declares, by name; the line above each says what it means."""
    found: dict[str, Variable] = {}
    above = ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name] = Variable(name, above.removeprefix("# "), value)
        above = line
    return found


@cache
def variables() -> dict[str, Variable]:
    """Return all variables by name, in the order of `.env`."""
    return parsed(FILE.read_text())
