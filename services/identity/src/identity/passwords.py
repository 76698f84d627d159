"""Password hashing off the event loop, at a bounded rate and a bounded memory."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from chassis import context
from chassis.problems import ServiceUnavailable
from identity.policy import WeakPassword, normalised_password

T = TypeVar("T")

SWITCH_SECONDS = 0.0001
"""How long a thread that has hashed waits for the interpreter; the usual 5 ms are a quarter of a hash."""


class Argon2Pool:
    """Argon2id (RFC 9106) in threads of its own: a login flood waits in line and starves nobody else.

    New passwords are judged in a thread apart, so that no sign-in waits for a judgement.
    """

    def __init__(
        self, *, memory_kib: int, iterations: int, parallelism: int, threads: int, wait_seconds: float
    ) -> None:
        """Give no result to a request that arrived `wait_seconds` ago: its caller has gone by then."""
        self._scheme = PasswordHash(
            (Argon2Hasher(time_cost=iterations, memory_cost=memory_kib, parallelism=parallelism),)
        )
        sys.setswitchinterval(SWITCH_SECONDS)
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="argon2")
        self._judge = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password-strength")
        self._wait_seconds = wait_seconds
        # An unknown address is checked against this, so that it takes as long as a known one.
        self._nobody = self._scheme.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Return the hash of `password`; raises `ServiceUnavailable` when its turn does not come in time."""
        return await self._run(self._threads, lambda: self._scheme.hash(normalised_password(password)))

    async def hash_chosen(self, password: str, *, email: str, min_length: int) -> str:
        """Judge the password and hash it; raises `WeakPassword`, and `ServiceUnavailable` like `hash`."""
        normalised = normalised_password(password)
        if await self._run(self._judge, lambda: _is_weak(normalised, email=email, min_length=min_length)):
            raise WeakPassword
        return await self.hash(normalised)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Check `password`; with no stored hash the same work is done and the answer is no."""
        fits, better = await self._run(
            self._threads, lambda: self._check(normalised_password(password), stored or self._nobody)
        )
        return (fits, better) if stored is not None else (False, None)

    def close(self) -> None:
        """End the threads."""
        for threads in (self._threads, self._judge):
            threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, password: str, stored: str) -> tuple[bool, str | None]:
        try:
            return self._scheme.verify_and_update(password, stored)
        except UnknownHashError:
            return False, None

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(context.seconds_left(self._wait_seconds)):
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        except TimeoutError:
            raise ServiceUnavailable("Too many sign-ins are waiting. Try again shortly.") from None


def _is_weak(password: str, *, email: str, min_length: int) -> bool:
    # Its dictionaries take 12 MiB, and a worker judges no password.
    from identity.password_strength import is_weak_password  # noqa: PLC0415

    return is_weak_password(password, email=email, min_length=min_length)
