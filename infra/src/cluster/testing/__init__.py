"""Pytest plugin: real servers for a test session."""

from collections.abc import Iterator

import pytest

from cluster import engine
from cluster.testing.running import RunningServers

__all__ = ["RunningServers", "servers"]


@pytest.fixture(scope="session")
def servers() -> Iterator[RunningServers]:
    """Start PostgreSQL, RabbitMQ, Redis, S3 and a mailbox: in containers where an engine answers."""
    if engine.why_not() is None:
        from cluster.testing.containers import container_servers as start  # noqa: PLC0415 - its import needs an engine
    else:
        from cluster.testing.native import native_servers as start  # noqa: PLC0415
    with start() as running:
        yield running
