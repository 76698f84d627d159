"""Pytest plugin: real servers for a test session."""

import os
from collections.abc import Iterator

import pytest

from cluster import engine
from cluster.layout import Layout
from support.running import RunningServers
from support.separate import SeparateCluster, separate_cluster

__all__ = ["RunningServers", "SeparateCluster", "cluster", "servers"]


@pytest.fixture(scope="session")
def servers() -> Iterator[RunningServers]:
    """Start PostgreSQL, RabbitMQ, Redis, S3 and a mailbox: in containers where an engine answers."""
    if engine.why_not() is None:
        from support.containers import container_servers as start  # noqa: PLC0415 - its import needs an engine
    else:
        from support.native import native_servers as start  # noqa: PLC0415
    with start() as running:
        yield running


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[SeparateCluster]:
    """Start a whole cluster of its own; E2E_MODE=native or compose chooses the mode, else what fits."""
    with separate_cluster(os.environ.get("E2E_MODE") or None) as running:
        yield running
        if request.session.testsfailed:
            running.keep_logs(Layout.of().var / "failed-tests")
