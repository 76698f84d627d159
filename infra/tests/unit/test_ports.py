import os
import socket
from collections.abc import Iterator

import pytest

from cluster import ports
from cluster.errors import ClusterError
from support.free_ports import pick_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_taken_port_is_reported_with_its_holder_and_its_variable(taken: int) -> None:
    with pytest.raises(ClusterError) as refused:
        ports.refuse_taken({"REDIS_PORT": taken})

    message = str(refused.value)
    assert f"port {taken} (REDIS_PORT)" in message
    assert f"(pid {os.getpid()})" in message
    assert ".env" in message


def test_all_taken_ports_are_reported_at_once(taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ClusterError) as refused:
        ports.refuse_taken({"REDIS_PORT": taken, "S3_PORT": other.getsockname()[1]})

    assert "REDIS_PORT" in str(refused.value)
    assert "S3_PORT" in str(refused.value)


def test_free_ports_are_accepted() -> None:
    ports.refuse_taken(pick_free(["REDIS_PORT", "S3_PORT"]))
