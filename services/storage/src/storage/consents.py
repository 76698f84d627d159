"""Questions to consent, which alone knows; when it can't be asked, nobody gets a yes."""

from uuid import UUID

import structlog
from pydantic import BaseModel, ValidationError

from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from contracts.fields import ConsentType
from storage.policy import ConsentState

log = structlog.get_logger(__name__)


class _Answer(BaseModel):
    granted: bool
    consent_id: UUID | None = None
    epoch: int
    withdrawn_epoch: int


class Consents:
    """The consent service, asked about biometric capture."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def ask(self, user_id: UUID) -> ConsentState:
        """Return what holds at this moment; raises `NeighbourUnavailable` whenever that is not known."""
        try:
            document = await self._client.get(f"/internal/consents/{user_id}/{ConsentType.BIOMETRIC_CAPTURE}")
            answer = _Answer.model_validate(document)
        except NeighbourRefused as refusal:
            log.error("consent_refused_the_question", status=refusal.status)
            raise NeighbourUnavailable("consent refused the question") from refusal
        except ValidationError as error:
            log.error("consent_answer_not_understood", fields=len(error.errors(include_input=False)))
            raise NeighbourUnavailable("consent's answer was not understood") from None
        return ConsentState(
            granted=answer.granted and answer.consent_id is not None,
            consent_id=answer.consent_id,
            epoch=answer.epoch,
            withdrawn_epoch=answer.withdrawn_epoch,
        )
