import json
import stat
from pathlib import Path

import pytest

from cluster import env_file, secret_values, variables
from cluster.errors import ClusterError


def test_first_env_has_a_value_for_every_variable_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"

    added = env_file.ensure(path)

    assert set(added) == set(variables.variables())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert env_file.load(path)["POSTGRES_PORT"] == "18432"


def test_two_env_files_share_no_secret(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    env_file.ensure(first)
    env_file.ensure(second)

    secrets = [name for name, variable in variables.variables().items() if variable.generate]
    same = [name for name in secrets if env_file.load(first)[name] == env_file.load(second)[name]]

    assert same == []


def test_existing_lines_survive_and_new_variables_are_appended(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("STORAGE_LINK_KEY=")]
    path.write_text("\n".join(lines) + "\nMY_OWN=kept\n")
    before = env_file.read(path)

    added = env_file.ensure(path)

    after = env_file.read(path)
    assert added == ["STORAGE_LINK_KEY"]
    assert len(after["STORAGE_LINK_KEY"]) == 64
    assert {name: after[name] for name in before} == before


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    before = path.read_text()

    assert env_file.ensure(path) == []
    assert path.read_text() == before


def test_public_keys_follow_a_private_key_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    old = env_file.read(path)
    new_key = secret_values.signing_key()
    path.write_text(path.read_text().replace(old["CONSENT_SERVICE_KEY"], new_key))

    env_file.ensure(path)

    public = json.loads(env_file.read(path)["SERVICE_PUBLIC_KEYS"])
    assert public["consent"] == secret_values.public_jwk(new_key)
    assert public["identity"] == json.loads(old["SERVICE_PUBLIC_KEYS"])["identity"]


def test_port_offset_moves_every_port_and_the_public_address(tmp_path: Path) -> None:
    path = tmp_path / ".env"

    env_file.ensure(path, port_offset=1000)

    values = env_file.load(path)
    assert values["GATEWAY_PORT"] == "9000"
    assert values["PUBLIC_URL"] == "http://localhost:9000"
    assert values["POSTGRES_PORT"] == "19432"


def test_environment_decides_about_the_first_env_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    monkeypatch.setenv("GATEWAY_PORT", "8500")
    env_file.ensure(path)
    monkeypatch.setenv("GATEWAY_PORT", "8600")

    env_file.ensure(path)

    values = env_file.load(path)
    assert values["GATEWAY_PORT"] == "8500"
    assert env_file.overlooked(values) == ["GATEWAY_PORT"]


def test_missing_env_says_which_command_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="make up"):
        env_file.load(tmp_path / ".env")


@pytest.mark.parametrize("port", ["0", "65536", "many"])
def test_impossible_port_is_refused_by_name(tmp_path: Path, port: str) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path, given={"REDIS_PORT": port})

    with pytest.raises(ClusterError, match="REDIS_PORT"):
        env_file.load(path)


def test_empty_secret_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    secret = env_file.read(path)["REDIS_ADMIN_PASSWORD"]
    path.write_text(path.read_text().replace(f"REDIS_ADMIN_PASSWORD={secret}", "REDIS_ADMIN_PASSWORD="))

    with pytest.raises(ClusterError, match="REDIS_ADMIN_PASSWORD"):
        env_file.load(path)
