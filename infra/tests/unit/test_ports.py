import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cluster import ports
from cluster.errors import ClusterError


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
    ports.refuse_taken(ports.pick_free(["REDIS_PORT", "S3_PORT"]))


def test_picked_port_is_picked_by_nobody_else() -> None:
    mine = ports.pick_free(["PORT"])["PORT"]
    code = f"from cluster import ports; ports.POOL = ({mine}, {mine} + 1); print(ports.pick_free(['PORT']))"
    others = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert str(mine) not in others.replace(str(mine + 1), "")


def test_picked_ports_differ_and_leave_room_for_the_stores_second_port() -> None:
    names = [f"PORT_{number}" for number in range(25)]

    picked = ports.pick_free(names)

    assert picked.keys() == set(names)
    assert len(set(picked.values())) == len(names)
    assert all(ports.is_free(port + ports.SECOND) for port in picked.values())
