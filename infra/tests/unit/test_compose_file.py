"""compose.yaml, `.env.example` and native mode say the same."""

from pathlib import Path
from typing import Any

import pytest

from cluster import compose_file, env_file, members, variables
from cluster.bootstrap import schemas
from cluster.environment import compose_network, service_environment
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.native.postgres import SETTINGS
from cluster.native.s3 import identities
from cluster.native.servers import s3_keys

CHECKOUT = Layout.of().checkout
COMPOSE = CHECKOUT / "compose.yaml"


@pytest.fixture
def values(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / ".env"
    env_file.ensure(path, given={"CONSENT_GEOIP_DB_PATH": "/geo.mmdb"})
    return env_file.load(path)


@pytest.fixture
def services(values: dict[str, str]) -> dict[str, dict[str, Any]]:
    return compose_file.services(COMPOSE, values)


def test_compose_uses_every_variable_that_is_not_for_native_mode() -> None:
    native = {name for name, variable in variables.variables().items() if "(native mode)" in variable.comment}

    # The engine reads the project's name from .env by itself.
    assert compose_file.variables_of(COMPOSE) == variables.variables().keys() - native - {
        "COMPOSE_PROJECT_NAME"
    }


@pytest.mark.parametrize("service", members.SERVICES)
def test_both_modes_give_a_service_the_same_variables(
    service: str, values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    expected = service_environment(values, service, compose_network())
    containers = ["gateway"] if service == "gateway" else [f"{service}-api", f"{service}-worker"]

    for container in containers:
        assert services[container]["environment"] == expected


@pytest.mark.parametrize("service", members.DATABASE_SERVICES)
def test_only_the_migrating_container_has_the_owners_rights(
    service: str, values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    expected = service_environment(values, service, compose_network(), migrates=True)

    assert services[f"{service}-migrate"]["environment"] == expected
    assert "OWNER" not in "".join(services[f"{service}-api"]["environment"])


def test_bootstrap_container_has_the_secrets_that_its_job_needs(
    values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    roles = [role for schema in schemas() for role in (schema.owner, schema.app)]
    needed = {
        *(f"{role.upper()}_PASSWORD" for role in roles),
        *(f"{service.upper()}_BROKER_PASSWORD" for service in members.SERVICES),
        *("POSTGRES_ADMIN_PASSWORD", "RABBITMQ_ADMIN_PASSWORD", "S3_ADMIN_ACCESS_KEY", "S3_ADMIN_SECRET_KEY"),
    }

    assert services["bootstrap"]["environment"] == {name: values[name] for name in needed}


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


def test_our_containers_can_change_nothing_about_themselves(services: dict[str, dict[str, Any]]) -> None:
    ours = {name: service for name, service in services.items() if "build" in service}

    assert len(ours) == 11
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]


def test_postgres_has_the_same_settings_in_both_modes(services: dict[str, dict[str, Any]]) -> None:
    options = services["postgres"]["command"][1:]

    assert options == [f"-c{name}={value}" for name, value in SETTINGS.items()]


def test_store_has_the_same_access_table_in_both_modes(
    values: dict[str, str], services: dict[str, dict[str, Any]]
) -> None:
    (script,) = services["s3"]["command"]
    table = identities(s3_keys(values), "irisvue-photos")

    for identity in table["identities"]:  # type: ignore[attr-defined]
        assert '","'.join(identity["actions"]) in script


def test_missing_variable_stops_compose_with_its_name(values: dict[str, str]) -> None:
    del values["REDIS_PASSWORD"]

    with pytest.raises(ClusterError, match="REDIS_PASSWORD"):
        compose_file.services(COMPOSE, values)
