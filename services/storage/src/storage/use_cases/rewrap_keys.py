"""Wrap data keys anew under the key-encryption key that is active now, without touching a sealed object.

A wrapped key is replaced only where it is still the one that was opened: what an erasure has deleted
meanwhile stays deleted. What is done is done, so a run that was ended goes on where it stopped.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.problems import describe
from storage.repositories import DataKeys, StoredKey
from storage.sealing import KeyEncryption, KeyOwner, KeyUnusable, OwnerUnknown, new_data_key

BATCH = 100
AT_ONCE = 4
"""As many as there are connections to the keyring."""

log = structlog.get_logger(__name__)


@dataclass
class Rewrapping:
    """How far it is: the active key, how many data keys were moved, and how many each older key still wraps.

    `unopened` says of those that could not be opened how many there are, by the reason.
    """

    active: str
    before: Mapping[str, int]
    moved: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    unopened: Counter[str] = field(default_factory=Counter)

    @property
    def retired(self) -> list[str]:
        """The older keys that wrap no data key any more."""
        return sorted(self.before.keys() - self.left.keys() - {self.active})


Tell = Callable[[Rewrapping], None]
People = Callable[[], AsyncIterator[Sequence[UUID]]]


async def rewrap_keys(
    keyring: Database, encryption: KeyEncryption, *, people: People, tell: Tell
) -> Rewrapping:
    """Move every data key to the active key; `tell` hears how far it is, after each batch.

    `people` yields everybody whom storage knows by id: what earlier releases have wrapped opens with that.
    Raises `KeyServiceUnavailable`, and `KeyUnusable` when the active key can't be used.
    """
    # A key of nobody tells which key is active, whatever the provider calls it.
    probe = await encryption.wrap(new_data_key(), owner=KeyOwner("rewrap"))
    so_far = Rewrapping(probe.key_id, await _count_by_key(keyring))
    rewrap = _Rewrap(keyring, encryption, so_far, tell)
    if await rewrap.by_pseudonym():
        await rewrap.by_person(people())
    counted = await _count_by_key(keyring)
    so_far.left = {key_id: count for key_id, count in counted.items() if key_id != so_far.active}
    return so_far


async def _count_by_key(keyring: Database) -> dict[str, int]:
    async with keyring.read_only() as session:
        return await DataKeys(session).count_by_key()


class _Rewrap:
    def __init__(self, keyring: Database, encryption: KeyEncryption, so_far: Rewrapping, tell: Tell) -> None:
        self._keyring = keyring
        self._encryption = encryption
        self._so_far = so_far
        self._tell = tell
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def by_pseudonym(self) -> bool:
        """Move the keys in the order of their owners' hashes; True when some need their owners' ids."""
        after, ids_needed = "", False
        while page := await self._page(after):
            moved = await self._move([(stored, KeyOwner(stored.owner)) for stored in page])
            after, ids_needed = page[-1].owner, ids_needed or not all(moved)
        return ids_needed

    async def by_person(self, people: AsyncIterator[Sequence[UUID]]) -> None:
        """Move the keys of everybody whom storage knows by id."""
        async for some in people:
            owners = {self._keyring.person_hash(user_id): user_id for user_id in some}
            async with self._keyring.read_only() as session:
                found = await DataKeys(session).of_owners(owners, not_under=self._so_far.active)
            await self._move([(stored, KeyOwner(stored.owner, owners[stored.owner])) for stored in found])

    async def _page(self, after: str) -> Sequence[StoredKey]:
        async with self._keyring.read_only() as session:
            return await DataKeys(session).not_under(self._so_far.active, after=after, limit=BATCH)

    async def _move(self, batch: Sequence[tuple[StoredKey, KeyOwner]]) -> list[bool]:
        """Move a batch; return of each whether it opened without its owner's id.

        Raises what a provider raises.
        """
        results = await asyncio.gather(*(self._move_one(*each) for each in batch), return_exceptions=True)
        self._tell(self._so_far)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, bool)]

    async def _move_one(self, stored: StoredKey, owner: KeyOwner) -> bool:
        async with self._turn:
            try:
                data_key = await self._encryption.unwrap(stored.wrapped, owner=owner)
            except OwnerUnknown:
                return False
            except KeyUnusable as error:
                log.error("data_key_not_rewrapped", error=describe(error))
                self._so_far.unopened[type(error).__name__] += 1
                return True
            fresh = await self._encryption.wrap(data_key, owner=owner)
            # A statement of its own for each, so that nobody waits for two of them.
            async with self._keyring.one_statement() as session:
                replaced = await DataKeys(session).replace(stored, fresh)
            self._so_far.moved += replaced
            return True
