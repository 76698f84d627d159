"""Every setting of every service can be set in `.env`, and nothing that is written there is overlooked."""

from pathlib import Path

import pytest

from cluster import compose_file, env_file, members
from cluster.errors import ClusterError
from cluster.layout import Layout
from native.environment import service_environment
from service_settings import compose, example, fields

CHECKOUT = Layout.of().checkout
COMPOSE = CHECKOUT / "compose.yaml"
NEEDED = "a Settings class has changed: run `make settings` and commit what it writes"


def test_env_example_documents_every_variable() -> None:
    text = (CHECKOUT / ".env.example").read_text()

    assert example.rewritten(text) == text, NEEDED


def test_compose_hands_on_every_setting() -> None:
    assert compose.rewritten(COMPOSE.read_text()) == COMPOSE.read_text(), NEEDED


@pytest.mark.parametrize("service", members.SERVICES)
def test_every_field_reaches_its_process_in_both_modes(service: str, tmp_path: Path) -> None:
    declared = fields.settings(service).keys()
    own = {f"{service.upper()}_{name}": f"value of {name}" for name in declared - fields.LISTEN}
    shared = {variable: f"value of {name}" for name, variable in fields.SHARED.items() if name in declared}
    path = tmp_path / ".env"
    env_file.ensure(path)
    values = env_file.load(path) | own | shared
    migrates = service in members.DATABASE_SERVICES
    native = service_environment(values, service, migrates=migrates)
    container = compose_file.services(COMPOSE, values)[f"{service}-migrate" if migrates else service]

    for field in declared - fields.LISTEN:
        name = f"{service.upper()}_{field}"
        assert native[name] == f"value of {field}", name
        inside = compose.MOUNTED.get(name, f"value of {field}")
        assert container["environment"][name] == inside, name


@pytest.mark.parametrize("service", members.SERVICES)
def test_where_a_service_listens_reaches_it_in_both_modes(service: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    values = env_file.load(path)
    wanted = {f"{service.upper()}_{name}" for name in fields.settings(service).keys() & fields.LISTEN}
    native = service_environment(values, service)
    container = compose_file.services(COMPOSE, values)[
        service if service in members.DOORS else f"{service}-api"
    ]

    assert {name: native[name] for name in wanted if name.endswith("PORT")} == {
        name: values[name] for name in wanted if name.endswith("PORT")
    }
    assert wanted <= container["environment"].keys()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("IDENTITY_ACCES_TOKEN_MINUTES", "IDENTITY_ACCESS_TOKEN_MINUTES"),
        ("GATEWAY_TRUSTED_PROXY", "GATEWAY_TRUSTED_PROXIES"),
        ("STORAGE_UPLOAD_LIMIT", "STORAGE_UPLOAD_LIMIT_BYTES"),
        ("CONSENT_GEO_IP_DB_PATH", "CONSENT_GEOIP_DB_PATH"),
    ],
)
def test_unknown_name_is_refused_with_the_nearest_known_one(tmp_path: Path, written: str, meant: str) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    path.write_text(path.read_text() + f"{written}=5\n")

    with pytest.raises(ClusterError, match=rf"{written} .*{meant}"):
        env_file.load(path)


def test_name_that_an_earlier_version_wrote_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    path.write_text(path.read_text() + "IDENTITY_FORGOTTEN=\nGATEWAY_BROKER_PASSWORD=generated-once\n")

    env_file.load(path)


def test_names_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env_file.ensure(path)
    path.write_text(path.read_text() + "MY_OWN=kept\n")

    assert env_file.load(path)["MY_OWN"] == "kept"


def test_value_with_a_default_inside_a_default_is_filled() -> None:
    text = "${A_URL:-redis://${A_NAME:?run make env}@host}/${B-}$$"

    assert compose_file.fill(text, {"A_NAME": "me"}) == "redis://me@host/$"
    assert compose_file.fill(text, {"A_URL": "x", "B": "y"}) == "x/y$"
    with pytest.raises(ClusterError, match="A_NAME"):
        compose_file.fill(text, {})
