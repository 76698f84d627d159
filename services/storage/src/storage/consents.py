"""Questions to consent, which alone knows; when it can't be asked, nobody gets a yes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError

from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from contracts.fields import ConsentType
from storage.policy import ConsentState

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Whereabouts:
    """Where a person is seen: the address that the gateway vouches for, and what their device says."""

    address: str | None = None
    country_code: str | None = None
    state_code: str | None = None


class _Answer(BaseModel):
    granted: bool
    consent_id: UUID | None = None
    epoch: int
    withdrawn_epoch: int
    stricter_jurisdiction: str | None = None

    def state(self) -> ConsentState:
        """Return what it says; a yes without a consent is none."""
        return ConsentState(
            granted=self.granted and self.consent_id is not None,
            consent_id=self.consent_id,
            epoch=self.epoch,
            withdrawn_epoch=self.withdrawn_epoch,
            stricter_jurisdiction=self.stricter_jurisdiction,
        )


class _Change(_Answer):
    user_id: UUID
    consent_type: str


class _ChangePage(BaseModel):
    position: int
    last_position: int
    complete: bool
    changes: list[_Change]


class _Disclosure(BaseModel):
    pictures: bool
    clause: str | None = None


A = TypeVar("A", bound=BaseModel)
CHANGES = 200
"""How many are asked for at once: while consent writes a page it answers nobody else."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """The biometric consents that changed after a position, by person, each as it stands now.

    `last_position` is lower than the position asked for once consent was restored from a backup.
    """

    states: dict[UUID, ConsentState]
    position: int
    last_position: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Withheld:
    """The clause under which pictures stay out of a copy of their owner's data."""

    clause: str


class Consents:
    """The consent service, asked about biometric capture, and how long a withdrawn yes can be said again."""

    def __init__(self, client: ServiceClient, *, withdrawal_grace: timedelta) -> None:
        self._client = client
        self.withdrawal_grace = withdrawal_grace

    async def ask(self, user_id: UUID, *, seen: Whereabouts | None = None) -> ConsentState:
        """Return what holds at this moment, for where the person is seen.

        Raises `NeighbourUnavailable` whenever that is not known.
        """
        path = f"/internal/consents/{user_id}/{ConsentType.BIOMETRIC_CAPTURE}"
        place = {} if seen is None else {name: said for name, said in vars(seen).items() if said}
        return (await self._get(path, _Answer, **place)).state()

    async def changes(self, *, after: int) -> ChangePage:
        """Return a page of what has changed after that position; raises `NeighbourUnavailable`."""
        page = await self._get("/internal/consents", _ChangePage, after=str(after), limit=str(CHANGES))
        return ChangePage(
            states={
                change.user_id: change.state()
                for change in page.changes
                if change.consent_type == ConsentType.BIOMETRIC_CAPTURE
            },
            position=page.position,
            last_position=page.last_position,
            complete=page.complete,
        )

    async def withheld(self, user_id: UUID) -> Withheld | None:
        """Return why pictures stay out of a copy of the person's data; None when they go into it.

        Raises `NeighbourUnavailable`.
        """
        said = await self._get(f"/internal/people/{user_id}/disclosure", _Disclosure)
        return None if said.pictures else Withheld(said.clause or "")

    async def _get(self, path: str, shape: type[A], **params: Any) -> A:
        try:
            return shape.model_validate(await self._client.get(path, params=params))
        except NeighbourRefused as refusal:
            log.error("consent_refused_the_question", status=refusal.status)
            raise NeighbourUnavailable("consent refused the question") from refusal
        except ValidationError as error:
            log.error("consent_answer_not_understood", fields=len(error.errors(include_input=False)))
            raise NeighbourUnavailable("consent's answer was not understood") from None
