"""Production refuses secrets that somebody could guess."""

from pathlib import Path

import pytest

from cluster import env_file, variables
from cluster.bootstrap import Bootstrap
from cluster.errors import ClusterError
from cluster.strength import refuse_weak
from native.environment import process_environment

SECRETS = [name for name, variable in variables.variables().items() if variable.is_secret]


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / ".env"
    env_file.ensure(path, given={"ENVIRONMENT": "production"})
    return env_file.load(path)


def test_generated_secrets_are_strong(production: dict[str, str]) -> None:
    refuse_weak(production, SECRETS)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["a", "changeme", "a" * 64, "0123456789abcdef" * 4, "ab" * 24])
def test_weak_secret_is_refused_by_name(production: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(ClusterError, match=name):
        refuse_weak(production | {name: value}, SECRETS)


def test_one_secret_for_two_purposes_is_refused(production: dict[str, str]) -> None:
    shared = production["IDENTITY_TOMBSTONE_KEY"]

    with pytest.raises(ClusterError, match=r"STORAGE_LINK_KEY.*IDENTITY_TOMBSTONE_KEY"):
        refuse_weak(production | {"STORAGE_LINK_KEY": shared}, SECRETS)


def test_development_may_be_weak(production: dict[str, str]) -> None:
    refuse_weak(production | {"ENVIRONMENT": "development", "REDIS_GATEWAY_PASSWORD": "a"}, SECRETS)


def test_weak_secret_stops_every_command(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path, given={"ENVIRONMENT": "production", "STORAGE_BROKER_PASSWORD": "g"})

    with pytest.raises(ClusterError, match="STORAGE_BROKER_PASSWORD"):
        env_file.load(path)


async def test_weak_secret_stops_the_bootstrap_job(production: dict[str, str]) -> None:
    environment = process_environment(production, "bootstrap")
    job = Bootstrap(environment | {"CONSENT_APP_PASSWORD": "a"})

    with pytest.raises(ClusterError, match="CONSENT_APP_PASSWORD"):
        await job.run()
