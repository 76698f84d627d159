"""Password hashing off the event loop, at a bounded rate and a bounded memory."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from chassis.problems import ServiceUnavailable
from identity.policy import WeakPassword, is_weak_password, normalised_password

T = TypeVar("T")

SWITCH_SECONDS = 0.0001
"""How long a thread that has hashed waits for the interpreter; the usual 5 ms are a quarter of a hash."""


class PasswordHasher(Protocol):
    """Makes and checks password hashes."""

    async def hash(self, password: str) -> str:
        """Return a hash in PHC string format."""

    async def hash_chosen(self, password: str, *, email: str, min_length: int) -> str:
        """Return the hash of a password that a person chose; raises `WeakPassword`."""

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether the password fits, and a better hash to store when the parameters have changed."""


class Argon2Pool:
    """Argon2id (RFC 9106) in threads of its own: a login flood waits in line and starves nobody else."""

    def __init__(
        self, *, memory_kib: int, iterations: int, parallelism: int, threads: int, queue: int
    ) -> None:
        self._scheme = PasswordHash(
            (Argon2Hasher(time_cost=iterations, memory_cost=memory_kib, parallelism=parallelism),)
        )
        sys.setswitchinterval(SWITCH_SECONDS)
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="argon2")
        self._places = threads + queue
        self._taken = 0
        # An unknown address is checked against this, so that it takes as long as a known one.
        self._nobody = self._scheme.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Return the hash of `password`; raises `ServiceUnavailable` when too many are waiting."""
        return await self._run(lambda: self._scheme.hash(normalised_password(password)))

    async def hash_chosen(self, password: str, *, email: str, min_length: int) -> str:
        """Judge the password and hash it, in one turn of the pool: the judging costs milliseconds too."""

        def judge_and_hash() -> str:
            normalised = normalised_password(password)
            if is_weak_password(normalised, email=email, min_length=min_length):
                raise WeakPassword
            return self._scheme.hash(normalised)

        return await self._run(judge_and_hash)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Check `password`; with no stored hash the same work is done and the answer is no."""
        fits, better = await self._run(
            lambda: self._check(normalised_password(password), stored or self._nobody)
        )
        return (fits, better) if stored is not None else (False, None)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, password: str, stored: str) -> tuple[bool, str | None]:
        try:
            return self._scheme.verify_and_update(password, stored)
        except UnknownHashError:
            return False, None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._taken >= self._places:
            raise ServiceUnavailable("Too many sign-ins are waiting. Try again shortly.")
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._taken -= 1
