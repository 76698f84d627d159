"""compose.yaml, `.env.example` and native mode say the same."""

import re
from pathlib import Path
from typing import Any

import pytest

from cluster import compose_file, env_file, members, variables
from cluster.bootstrap import schemas
from cluster.errors import ClusterError
from cluster.layout import Layout
from native.environment import service_environment

CHECKOUT = Layout.of().checkout
COMPOSE = CHECKOUT / "compose.yaml"
APIS = {f"{service}-api" for service in members.DATABASE_SERVICES}
WORKERS = {f"{service}-worker" for service in members.DATABASE_SERVICES}
MIGRATIONS = {f"{service}-migrate" for service in members.DATABASE_SERVICES}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / ".env"
    env_file.ensure(path)
    return env_file.load(path)


@pytest.fixture
def services(values: dict[str, str]) -> dict[str, dict[str, Any]]:
    return compose_file.services(COMPOSE, values)


def test_compose_uses_every_variable_that_is_not_for_native_mode() -> None:
    elsewhere = {
        name for name, variable in variables.variables().items() if "(native mode)" in variable.comment
    }

    assert compose_file.variables_of(COMPOSE) == variables.variables().keys() - elsewhere


@pytest.mark.parametrize("service", members.SERVICES)
def test_both_modes_give_a_service_the_same_variables(
    service: str, values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    native = service_environment(values, service)
    containers = ["gateway"] if service == "gateway" else [f"{service}-api", f"{service}-worker"]

    for container in containers:
        inside = services[container]["environment"]
        assert inside.keys() == native.keys()
        # Nothing but addresses and ports differs.
        assert {name for name in native if native[name] != inside[name]} <= {
            name for name in native if name.endswith(("_HOST", "_PORT", "_URL", "_URLS"))
        }


@pytest.mark.parametrize("service", members.DATABASE_SERVICES)
def test_only_the_migrating_process_has_the_owners_rights(
    service: str, values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    owners = services[f"{service}-migrate"]["environment"].keys() - services[f"{service}-api"]["environment"]

    assert owners
    assert all(name.endswith("OWNER_DATABASE_URL") for name in owners)
    assert (
        service_environment(values, service, migrates=True).keys() - service_environment(values, service)
        == owners
    )
    assert "OWNER" not in "".join(services[f"{service}-api"]["environment"])


def test_no_address_of_a_container_is_left_in_the_native_mode(
    values: dict[str, str], services: dict[str, Any]
) -> None:
    # A user, too, stands between slashes and a colon; only a host's colon is followed by a port.
    hosts = "|".join((*services, "rabbitmq-management"))
    for service in members.SERVICES:
        text = "\n".join(service_environment(values, service, migrates=True).values())
        assert not re.findall(rf"[/@](?:{hosts}):\d+\b", text)


def test_bootstrap_container_has_the_secrets_that_its_job_needs(
    values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    roles = [role for schema in schemas() for role in (schema.owner, schema.app)]
    needed = {
        *(f"{role.upper()}_PASSWORD" for role in roles),
        *(f"{service.upper()}_BROKER_PASSWORD" for service in members.DATABASE_SERVICES),
        *("POSTGRES_ADMIN_PASSWORD", "RABBITMQ_ADMIN_PASSWORD", "S3_ADMIN_ACCESS_KEY", "S3_ADMIN_SECRET_KEY"),
        "BACKUP_PASSWORD",
    }

    needed |= {"STORAGE_S3_BUCKET", "CONSENT_S3_BUCKET", "ENVIRONMENT"}

    environment = services["bootstrap"]["environment"]
    assert {name: environment.pop(name) for name in needed} == {name: values[name] for name in needed}
    assert environment.keys() == {"POSTGRES_ADDRESS", "RABBITMQ_MANAGEMENT_ADDRESS", "S3_ADDRESS"}


def test_of_our_services_only_the_gateway_is_published(services: dict[str, dict[str, Any]]) -> None:
    ours = {name for name, service in services.items() if "build" in service and service.get("ports")}

    assert ours == {"gateway"}


def test_only_the_gateway_is_published_beyond_this_machine(services: dict[str, dict[str, Any]]) -> None:
    addresses = {
        (name, port.split(":")[0]) for name, service in services.items() for port in service.get("ports", [])
    }

    assert {name for name, address in addresses if address != "127.0.0.1"} == {"gateway"}


def test_published_ports_are_those_of_native_mode(
    values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    published = {port.split(":")[1] for service in services.values() for port in service.get("ports", [])}
    used = compose_file.variables_of(COMPOSE)

    assert published == {values[name] for name in used if name.endswith("_PORT")}


def test_no_container_can_change_anything_about_itself(services: dict[str, dict[str, Any]]) -> None:
    # Three of each service with a schema, the gateway, the servers, the bootstrap job and the backups.
    assert len(services) == 3 * len(members.DATABASE_SERVICES) + 8
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["DAC_OVERRIDE"] if name == "s3" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"] <= 500, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert service["stop_grace_period"] == "30s", name
        if "build" not in service and name != "s3":
            assert service["user"], name


def test_password_of_no_server_stands_in_its_command(
    values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    secrets = [
        values[name] for name, variable in variables.variables().items() if variable.generate and values[name]
    ]
    for service in services.values():
        command = " ".join(service.get("command", []))
        assert not [secret for secret in secrets if secret in command]


NEIGHBOURS = {
    "broker": {"rabbitmq", *APIS, *WORKERS},
    "counters": {"redis", "gateway", "identity-api", "identity-worker"},
    "database": {"postgres", "bootstrap", "backup", *MIGRATIONS, *APIS, *WORKERS},
    "egress": {"identity-api", "identity-worker", "storage-api", "storage-worker"},
    "mailbox": {"mail", "identity-worker"},
    "management": {"rabbitmq", "bootstrap"},
    "objects": {"s3", "bootstrap", "backup", "storage-api", *WORKERS},
    "services": {"gateway", *APIS, *WORKERS},
}


def test_only_neighbours_share_a_network(services: dict[str, dict[str, Any]]) -> None:
    members: dict[str, set[str]] = {}
    for name, service in services.items():
        for network in service["networks"]:
            members.setdefault(network, set()).add(name)

    assert members == NEIGHBOURS
    assert compose_file.networks(COMPOSE).keys() == NEIGHBOURS.keys()


def test_only_one_network_leads_outside() -> None:
    masquerading = "com.docker.network.bridge.enable_ip_masquerade"
    networks = compose_file.networks(COMPOSE)
    closed = {
        name
        for name, options in networks.items()
        if options.get("driver_opts", {}).get(masquerading) == "false"
    }

    assert networks.keys() - closed == {"egress"}
    # The engine's default route and its published ports follow the order of the networks' names.
    assert "_0_" in networks["egress"]["name"]
    assert "_0_" in networks["management"]["name"]


def test_every_image_can_be_pinned(values: dict[str, str]) -> None:
    tags = compose_file.defaults_of(COMPOSE, suffix="_IMAGE")
    pinned = {name: f"{tag}@sha256:{'0' * 64}" for name, tag in tags.items()}
    services = compose_file.services(COMPOSE, values | pinned)

    builds = [service["build"]["args"] for service in services.values() if "build" in service]
    used = {service["image"] for service in services.values() if "build" not in service}
    assert used | {build["PYTHON_IMAGE"] for build in builds} == set(pinned.values())


def test_file_with_places_is_mounted_where_consent_looks_for_it(values: dict[str, str]) -> None:
    without = compose_file.services(COMPOSE, values)["consent-api"]
    given = compose_file.services(COMPOSE, values | {"CONSENT_GEOIP_DB_PATH": "/geo.mmdb"})["consent-api"]

    assert without["environment"]["CONSENT_GEOIP_DB_PATH"] == ""
    assert given["environment"]["CONSENT_GEOIP_DB_PATH"] == "/srv/geoip.mmdb"
    assert given["volumes"] == ["/geo.mmdb:/srv/geoip.mmdb:ro"]


def test_missing_variable_stops_compose_with_its_name(values: dict[str, str]) -> None:
    del values["REDIS_ADMIN_PASSWORD"]

    with pytest.raises(ClusterError, match="REDIS_ADMIN_PASSWORD"):
        compose_file.services(COMPOSE, values)
