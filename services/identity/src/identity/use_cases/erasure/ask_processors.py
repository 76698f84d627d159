"""Have every processor outside of the platform asked to erase a person: rows that the worker finds."""

from collections.abc import Sequence

from chassis.db import UnitOfWork
from identity.repositories import PROCESSOR_REQUESTS, OpenErasure, new_processor_request


def ask_processors(uow: UnitOfWork, erasure: OpenErasure, processors: Sequence[str]) -> None:
    """Ask for it in the caller's transaction."""
    for processor in processors:
        uow.before_commit.append(new_processor_request(processor, erasure))
    if processors:
        uow.wake(PROCESSOR_REQUESTS.name)
