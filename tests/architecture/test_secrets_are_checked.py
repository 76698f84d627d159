"""In production no service starts with a secret that somebody else could know, guess or share."""

import json
import secrets
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from chassis.entry import load_settings
from cluster import env_file, members
from cluster.secret_values import signing_key
from native.environment import service_environment

A_PASSWORD = "correct-horse-battery-staple"


def settings_class(service: str) -> type[Any]:
    found: type[Any] = getattr(import_module(f"{service}.settings"), f"{service.title()}Settings")
    assert issubclass(found, BaseSettings)
    return found


def unchecked_secrets(annotation: Any, *, checked: bool = False) -> Iterator[Any]:
    """Yield every SecretStr in a type that no check of its value surrounds."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        checked = checked or any(isinstance(mark, AfterValidator) for mark in metadata)
        yield from unchecked_secrets(inner, checked=checked)
    elif annotation is SecretStr and not checked:
        yield annotation
    else:
        for part in get_args(annotation):
            yield from unchecked_secrets(part, checked=checked)


def test_rule_finds_a_secret_without_a_check() -> None:
    assert list(unchecked_secrets(SecretStr))
    assert list(unchecked_secrets(SecretStr | None))
    assert not list(unchecked_secrets(Annotated[SecretStr, AfterValidator(lambda value: value)] | None))


@pytest.mark.parametrize("service", members.SERVICES)
def test_every_secret_of_a_service_is_of_a_checked_type(service: str) -> None:
    hints = get_type_hints(settings_class(service), include_extras=True)
    unchecked = sorted(name for name, hint in hints.items() if list(unchecked_secrets(hint)))
    assert unchecked == [], "use HexKey, PemKey, Password or ServerUrl of chassis.settings"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path: Path = tmp_path_factory.mktemp("env") / ".env"
    env_file.ensure(path)
    return env_file.load(path)


@pytest.fixture
def environment(generated: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets a service's variables for production, some of them replaced."""

    def production(service: str, **replaced: str) -> None:
        values = generated | {"ENVIRONMENT": "production", "PUBLIC_URL": "https://irisvue.example"}
        found = service_environment(values, service, migrates=True)
        found |= {"IDENTITY_SMTP_URL": f"smtps://irisvue:{A_PASSWORD}@smtp.example:465"} | replaced
        for name, value in found.items():
            monkeypatch.setenv(name, value)

    return production


@pytest.mark.parametrize("service", members.SERVICES)
def test_production_starts_with_what_make_env_generates(service: str, environment: Any) -> None:
    environment(service)
    assert load_settings(settings_class(service)).environment == "production"


KEYS = {
    "a sequence": "0123456789abcdef" * 4,
    "counted bytes": bytes(range(32)).hex(),
    "a repeated pattern": "00112233445566778899aabbccddeeff" * 2,
    "a text": b"the quick brown fox jumps over a".hex(),
    "zeros": "0" * 64,
    "a word": "secret",
}
PASSWORDS = {"none": "", "a letter": "a", "a letter many times": "a" * 30, "a word twice": "changemechangeme"}
REDIS = {kind: f"redis://:{word}@127.0.0.1:1/0" for kind, word in PASSWORDS.items()}
DATABASE = {kind: f"postgresql+asyncpg://app:{word}@127.0.0.1/x" for kind, word in PASSWORDS.items()}
BROKER = {kind: f"amqp://service:{word}@127.0.0.1/irisvue" for kind, word in PASSWORDS.items()}
KEYRINGS = {kind: json.dumps({"active": "k", "keys": {"k": key}}) for kind, key in KEYS.items()}
SOMEBODY_ELSES = {"somebody else's": signing_key()}
STATEFUL = {
    "DATABASE_URL": DATABASE,
    "OWNER_DATABASE_URL": DATABASE,
    "BROKER_URL": BROKER | {"its own name": "amqp://consent:c@127.0.0.1/irisvue"},
    "TOMBSTONE_KEY": KEYS,
    "JOURNAL_ACCESS_KEY": PASSWORDS,
    "JOURNAL_SECRET_KEY": PASSWORDS,
}
WEAK: dict[str, dict[str, dict[str, str]]] = dict.fromkeys(members.DATABASE_SERVICES, STATEFUL) | {
    "gateway": {
        "REDIS_URL": REDIS | {"no password at all": "redis://127.0.0.1:1/0"},
        "TRUSTED_PROXIES": {
            "everybody": "0.0.0.0/0",
            "everybody on IPv6": "::/0",
            "both halves of everybody": "10.0.0.0/8,0.0.0.0/1,128.0.0.0/1",
        },
    },
    "identity": STATEFUL
    | {
        "REDIS_URL": REDIS | {"no password at all": "redis://127.0.0.1:1/0"},
        "SMTP_URL": {
            "the development mailbox": "smtp://127.0.0.1:18025",
            "no password": "smtps://irisvue@smtp.example",
        },
        "REFRESH_TOKEN_KEY": KEYS,
        "PROVIDER_TOKEN_KEY": KEYS,
    },
    "consent": STATEFUL | {"S3_ACCESS_KEY": PASSWORDS, "S3_SECRET_KEY": PASSWORDS},
    "storage": STATEFUL
    | {
        "KEYRING_DATABASE_URL": DATABASE,
        "KEYRING_OWNER_DATABASE_URL": DATABASE,
        "S3_ACCESS_KEY": PASSWORDS,
        "S3_SECRET_KEY": PASSWORDS,
        "LINK_KEY": KEYS,
        "KEY_ENCRYPTION_KEYS": KEYRINGS,
    },
}


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        pytest.param(service, f"{service.upper()}_{name}", value, id=f"{service} {name} {kind}")
        for service, names in WEAK.items()
        for name, values in names.items()
        for kind, value in values.items()
    ],
)
def test_production_refuses_by_name(
    service: str, name: str, value: str, environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    environment(service, **{name: value})
    refused = name
    assert_refused(service, refused, capsys)


def assert_refused(service: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_settings(settings_class(service))
    said = capsys.readouterr().err
    assert name in said
    # Each line says what is wrong and what mends it.
    assert all(len(line.partition(" ")[2]) > 10 for line in said.splitlines())


@pytest.mark.parametrize("service", members.SERVICES)
def test_production_refuses_a_service_whose_key_its_neighbours_do_not_know(
    service: str, environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    environment(service, **{f"{service.upper()}_SERVICE_KEY": signing_key()})
    assert_refused(service, f"{service.upper()}_SERVICE_PUBLIC_KEYS", capsys)


@pytest.mark.parametrize("service", members.SERVICES)
def test_production_refuses_two_services_with_one_key(
    service: str, environment: Any, generated: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    public = json.loads(generated["SERVICE_PUBLIC_KEYS"])
    other = next(name for name in members.SERVICES if name != service)
    public[other] = public[service] | {"kid": other}
    environment(service, **{f"{service.upper()}_SERVICE_PUBLIC_KEYS": json.dumps(public)})
    assert_refused(service, f"{service.upper()}_SERVICE_PUBLIC_KEYS", capsys)


HEX = secrets.token_hex(32)
PEM = signing_key()


@pytest.mark.parametrize(
    ("service", "same"),
    [
        ("identity", {"TOMBSTONE_KEY": HEX, "REFRESH_TOKEN_KEY": HEX.upper()}),
        ("storage", {"LINK_KEY": HEX, "TOMBSTONE_KEY": HEX}),
        (
            "storage",
            {"LINK_KEY": HEX, "KEY_ENCRYPTION_KEYS": json.dumps({"active": "k", "keys": {"k": HEX}})},
        ),
        (
            "storage",
            {"S3_SECRET_KEY": A_PASSWORD, "DATABASE_URL": f"postgresql+asyncpg://a:{A_PASSWORD}@b/c"},
        ),
        (
            "consent",
            {"BROKER_URL": f"amqp://a:{A_PASSWORD}@b/c", "DATABASE_URL": f"postgresql://a:{A_PASSWORD}@b/c"},
        ),
        (
            "identity",
            {"BROKER_URL": f"amqp://a:{A_PASSWORD}@b/c", "REDIS_URL": f"redis://a:{A_PASSWORD}@b/0"},
        ),
    ],
)
def test_production_refuses_one_secret_for_two_purposes(
    service: str, same: dict[str, str], environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {f"{service.upper()}_{name}": value for name, value in same.items()}
    environment(service, **named)
    with pytest.raises(SystemExit):
        load_settings(settings_class(service))
    said = capsys.readouterr().err
    for name, value in named.items():
        assert name in said
        assert value not in said


def test_production_refuses_the_service_key_as_signing_key(
    environment: Any, generated: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    environment("identity", IDENTITY_SIGNING_KEY=generated["IDENTITY_SERVICE_KEY"])
    assert_refused("identity", "IDENTITY_SIGNING_KEY", capsys)


@pytest.mark.parametrize("service", members.SERVICES)
def test_development_starts_with_short_passwords_and_a_key_of_its_own_making(
    service: str, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = service.upper()
    easy = {f"{prefix}_ENVIRONMENT": "development", f"{prefix}_SERVICE_KEY": PEM}
    for name, values in WEAK[service].items():
        if values in (REDIS, DATABASE, BROKER, PASSWORDS):
            easy[f"{prefix}_{name}"] = values["a letter"]
    environment(service, **easy)
    assert settings_class(service)().environment == "development"
    monkeypatch.delenv(f"{prefix}_SERVICE_KEY")
    with pytest.raises(ValidationError):
        settings_class(service)()
