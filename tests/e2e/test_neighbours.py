"""What a container that somebody took over can reach of the servers that are none of its business."""

import json
import subprocess
from collections.abc import Callable

import pytest

from support.servers import SeparateCluster

STORE = (8333, 9333, 19333, 8080, 18080, 8888, 18888, 18333)
MANAGEMENT = (15672, 15692)
FOREIGN = {
    "consent-api": {"s3": STORE, "redis": (6379,), "mail": (1025, 8025), "rabbitmq": MANAGEMENT},
    "consent-worker": {"s3": STORE[1:-1], "redis": (6379,), "mail": (1025, 8025), "rabbitmq": MANAGEMENT},
    "gateway": {"s3": STORE, "postgres": (5432,), "mail": (1025, 8025), "rabbitmq": (5672, *MANAGEMENT)},
    "identity-api": {"s3": STORE, "mail": (1025, 8025), "rabbitmq": MANAGEMENT},
    # All but the S3 API and its gRPC port, which asks for a certificate, stay inside the store's container.
    "storage-api": {"s3": STORE[1:-1], "redis": (6379,), "mail": (1025, 8025), "rabbitmq": MANAGEMENT},
}
KNOCK = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def knock(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return
    print(address)
with ThreadPoolExecutor(32) as threads:
    list(threads.map(knock, sys.argv[1:]))
"""
Docker = Callable[..., str]


@pytest.fixture
def docker(cluster: SeparateCluster) -> Docker:
    if cluster.mode != "compose":
        pytest.skip("processes of one machine share its loopback; infra's tests ask each port without a key")

    def run(*arguments: str) -> str:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture
def container_of(cluster: SeparateCluster, docker: Docker) -> Callable[[str], str]:
    project = cluster.values["COMPOSE_PROJECT_NAME"]

    def by_service(service: str) -> str:
        labels = (f"project={project}", f"service={service}")
        filters = [word for label in labels for word in ("--filter", f"label=com.docker.compose.{label}")]
        return docker("ps", "--quiet", *filters).strip()

    return by_service


@pytest.mark.parametrize("attacker", FOREIGN)
def test_container_reaches_no_server_that_it_does_not_need(
    attacker: str, docker: Docker, container_of: Callable[[str], str]
) -> None:
    addresses = []
    for victim, ports in FOREIGN[attacker].items():
        (inspected,) = json.loads(docker("inspect", container_of(victim)))
        networks = inspected["NetworkSettings"]["Networks"].values()
        hosts = [victim, f"{victim}-management", *(network["IPAddress"] for network in networks)]
        addresses += [f"{host}:{port}" for host in hosts for port in ports]

    assert docker("exec", container_of(attacker), "python", "-c", KNOCK, *addresses) == ""


@pytest.mark.parametrize("service", ["identity-api", "identity-worker", "storage-api", "storage-worker"])
def test_services_that_must_reach_out_are_routed_through_the_open_network(
    service: str, cluster: SeparateCluster, docker: Docker, container_of: Callable[[str], str]
) -> None:
    network = f"{cluster.values['COMPOSE_PROJECT_NAME']}_0_egress"
    (inspected,) = json.loads(docker("inspect", container_of(service)))
    routes = docker("exec", container_of(service), "cat", "/proc/net/route").splitlines()
    (default,) = [columns[2] for line in routes if (columns := line.split())[1] == "0" * 8]

    gateway = inspected["NetworkSettings"]["Networks"][network]["Gateway"]
    assert bytes.fromhex(default)[::-1] == bytes(int(part) for part in gateway.split("."))


def test_ports_of_services_behind_the_gateway_are_not_published(
    docker: Docker, container_of: Callable[[str], str]
) -> None:
    for service in ("identity", "consent", "storage"):
        for process in ("api", "worker"):
            assert docker("port", container_of(f"{service}-{process}")) == ""
