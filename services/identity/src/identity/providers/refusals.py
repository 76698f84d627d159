"""Turns a refused token into the answer, and says why only to the log."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from chassis.problems import Problem
from identity.providers.tokens import TokenRefused

log = structlog.get_logger(__name__)


@contextmanager
def logged(provider: str, problem: type[Problem]) -> Iterator[None]:
    """Raise `problem` where the block raises `TokenRefused`."""
    try:
        yield
    except TokenRefused as refusal:
        # The reason is a fixed word or the name of an exception, never a part of the token.
        log.info("provider_token_refused", provider=provider, reason=str(refusal))
        raise problem from None
