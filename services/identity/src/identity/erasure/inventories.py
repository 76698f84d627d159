"""Questions to every participant about one person: all of them answer, or nobody is told a number."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import structlog
from pydantic import ValidationError

from chassis.holds import Hold, documents
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.inventory import Inventory
from chassis.problems import ServiceUnavailable, describe
from chassis.service_auth import ServiceTokens

ANSWER_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ParticipantSilent(ServiceUnavailable, title="A service did not say what it holds"):
    """A participant did not answer; a number without its part would be a wrong one."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__(
            f"Not answering: {', '.join(sorted(services))}. Nothing was changed; try again shortly."
        )


class Inventories:
    """What the other participants hold of a person, asked of all of them at once."""

    def __init__(self, clients: Mapping[str, ServiceClient]) -> None:
        self._clients = clients

    async def of(
        self, user_id: UUID, services: Sequence[str], *, holds: Mapping[str, Sequence[Hold]]
    ) -> list[Inventory]:
        """Return what each of `services` answers within five seconds; raises `ParticipantSilent`.

        Where `holds` has some for a service, it tells what they would keep.
        """
        answers = await asyncio.gather(
            *(self._ask(service, user_id, holds.get(service, ())) for service in services)
        )
        told = dict(zip(services, answers, strict=True))
        if silent := [service for service, answer in told.items() if answer is None]:
            raise ParticipantSilent(silent)
        return [answer for answer in answers if answer is not None]

    async def _ask(self, service: str, user_id: UUID, holds: Sequence[Hold]) -> Inventory | None:
        client = self._clients.get(service)
        if client is None:
            log.warning("participant_without_address", service=service)
            return None
        try:
            answer = await client.get(
                f"/internal/inventory/{user_id}",
                params={"holds": json.dumps(documents(holds))} if holds else None,
                seconds=ANSWER_SECONDS,
            )
            return Inventory.model_validate(answer)
        except ValidationError:
            # Not described by its message: that quotes the answer.
            log.warning("inventory_not_understood", service=service)
        except (NeighbourUnavailable, NeighbourRefused) as error:
            log.warning("inventory_not_told", service=service, error=describe(error))
        return None


@asynccontextmanager
async def open_inventories(addresses: Mapping[str, str], tokens: ServiceTokens) -> AsyncIterator[Inventories]:
    """Open a client for each participant; nobody is asked before the first question."""
    async with AsyncExitStack() as stack:
        clients = {
            service: await stack.enter_async_context(ServiceClient(url, audience=service, tokens=tokens))
            for service, url in addresses.items()
        }
        yield Inventories(clients)
