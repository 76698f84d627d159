"""Empty the folders whose destruction was ordered, however often the store has to be asked."""

import asyncio
from uuid import UUID

import structlog

from chassis.db import Database
from chassis.faults import is_transient
from chassis.problems import describe
from chassis.work_table import Claimed, WorkTable
from contracts.fields import PhotoDeletionReason
from contracts.storage import PhotoDeleted
from storage.repositories import DESTRUCTIONS, Destructions
from storage.vault import Vault

LEASE_SECONDS = 60.0
FOLDER_SECONDS = 45.0
BACKOFF_SECONDS = (1.0, 300.0)
AT_ONCE_SECONDS = 2.0
"""How long who deletes something waits for it to be destroyed before the worker does it."""

log = structlog.get_logger(__name__)


class Destroyer:
    """Works on the destructions that are due."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._orders = WorkTable(
            database,
            DESTRUCTIONS,
            since=DESTRUCTIONS.c.next_attempt_at,
            lease_seconds=LEASE_SECONDS,
            backoff_seconds=BACKOFF_SECONDS,
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await self._orders.run(self._destroy)

    async def work_once(self) -> int:
        """Do what is due, as much as is done at a time; return how many folders were claimed."""
        return await self._orders.work_once(self._destroy)

    async def destroy_now(self, order_id: UUID, *, seconds: float) -> None:
        """Do one order in so many seconds, or leave it to the worker."""
        for claimed in await self._orders.claim(1, only=Destructions.is_order(order_id)):
            try:
                async with asyncio.timeout(seconds):
                    await self._destroy(claimed)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("destruction_left_to_the_worker", error=describe(error))
                await self._orders.postpone(claimed, error)

    async def _destroy(self, claimed: Claimed) -> None:
        order = claimed.row
        async with asyncio.timeout(FOLDER_SECONDS):
            await self._vault.empty(order.prefix)
        async with self._database.unit_of_work() as uow:
            await self._orders.settle(uow.session, claimed)
            if order.user_id and order.photo_id and order.reason:
                reason = PhotoDeletionReason(order.reason)
                uow.publish(PhotoDeleted(user_id=order.user_id, photo_id=order.photo_id, reason=reason))
