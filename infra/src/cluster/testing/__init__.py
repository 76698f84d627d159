"""Pytest plugin: real servers for a test session."""

from collections.abc import Iterator

import pytest

from cluster.testing.native import native_servers
from cluster.testing.running import RunningServers

__all__ = ["RunningServers", "servers"]


@pytest.fixture(scope="session")
def servers() -> Iterator[RunningServers]:
    """Start PostgreSQL, RabbitMQ, Redis, S3 and a mailbox."""
    with native_servers() as running:
        yield running
