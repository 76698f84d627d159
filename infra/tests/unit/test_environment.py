"""The services accept what the cluster gives them."""

import importlib
from pathlib import Path

import pytest

from cluster import env_file
from cluster.members import SERVICES
from native.environment import service_environment


@pytest.mark.parametrize("service", SERVICES)
def test_service_reads_its_settings_from_the_clusters_variables(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    values = env_file.load(path)
    for name, value in service_environment(values, service, migrates=True).items():
        monkeypatch.setenv(name, value)

    settings = getattr(importlib.import_module(f"{service}.settings"), f"{service.title()}Settings")()

    assert str(settings.port) == values[f"{service.upper()}_PORT"]
    assert settings.service_public_keys.keys() == set(SERVICES)


def test_no_service_learns_the_secrets_of_another(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    values = env_file.load(path)
    environments = {name: service_environment(values, name) for name in SERVICES}

    for service, environment in environments.items():
        text = "\n".join(environment.values())
        foreign = [other for other in SERVICES if other != service]
        known = [name for name in values for other in foreign if name.startswith(f"{other.upper()}_")]
        secrets = [values[name] for name in known if len(values[name]) >= 20]
        assert not [secret for secret in secrets if secret in text]
