"""Places for requests that run at the same time: a number for all together, and a share for each caller."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chassis.networks import client_key, wider_key
from gateway.problems import Overloaded, TooManyAtOnce

SITE_FACTOR = 3
"""How many times as many places a whole IPv6 site (/48) has as one line (/64) of it."""


@dataclass(frozen=True)
class Shares:
    """How many requests may run at once: of everybody, from one address (its line), of one person."""

    everybody: int
    address: int
    person: int


class Places:
    """Counts who holds how many places; whoever is slow keeps others from none but its own."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._held: Counter[str] = Counter()
        self.running = 0
        self.waiting = 0
        """How many of those that run wait for a service to come back."""

    @contextmanager
    def for_address(self, address: str) -> Iterator[None]:
        """Hold a place while the block runs; raises `Overloaded` or `TooManyAtOnce`."""
        if self.running >= self._shares.everybody:
            raise Overloaded
        line, site = client_key(address), wider_key(address)
        self.running += 1
        try:
            with (
                self._held_by(f"site {site}", self._shares.address * SITE_FACTOR),
                self._held_by(f"line {line}", self._shares.address),
            ):
                yield
        finally:
            self.running -= 1

    @contextmanager
    def for_person(self, person: str) -> Iterator[None]:
        """Hold one of the person's places while the block runs; raises `TooManyAtOnce`."""
        with self._held_by(f"person {person}", self._shares.person):
            yield

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Count a request as one that waits while the block runs."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def _held_by(self, caller: str, most: int) -> Iterator[None]:
        if self._held[caller] >= most:
            raise TooManyAtOnce
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
