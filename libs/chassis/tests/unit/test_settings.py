"""Settings refuse to start a service with a secret that is missing or weak."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from chassis.entry import load_settings
from chassis.settings import StatefulSettings, key_bytes

HEX_KEY = "6b1f0ac29de8374455c09b7a12f3e8d06e41977cb8a50d2ff9836120cae47b5d"


class WidgetSettings(StatefulSettings):
    model_config = SettingsConfigDict(env_prefix="WIDGET_", extra="ignore", hide_input_in_errors=True)


def pem(private):
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def good(key):
    return {
        "WIDGET_PORT": "18190",
        "WIDGET_WORKER_PORT": "18191",
        "WIDGET_SERVICE_KEY": key.pem.replace("\n", "\\n"),
        "WIDGET_SERVICE_PUBLIC_KEYS": json.dumps({"widget": key.jwk}),
        "WIDGET_DATABASE_URL": "postgresql+asyncpg://widget_app:a-long-generated-password@127.0.0.1/irisvue",
        "WIDGET_BROKER_URL": "amqp://widget:some-other-long-password@127.0.0.1/irisvue?heartbeat=10",
        "WIDGET_TOMBSTONE_KEY": HEX_KEY,
        "WIDGET_JOURNAL_ENDPOINT_URL": "http://127.0.0.1:8333",
        "WIDGET_JOURNAL_ACCESS_KEY": "8C1F0A77D29E4B653A0F",
        "WIDGET_JOURNAL_SECRET_KEY": "a-third-generated-password",
    }


@pytest.fixture
def load(good, monkeypatch):
    """Return a function that reads the settings with some variables changed, or removed by None."""

    def read(**changed):
        for name, value in {**good, **{f"WIDGET_{name}": value for name, value in changed.items()}}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return WidgetSettings()

    return read


def test_complete_settings_are_read_and_keep_their_secrets(load, key):
    settings = load()
    assert settings.service_key.get_secret_value() == key.pem
    assert key_bytes(settings.tombstone_key) == bytes.fromhex(HEX_KEY)
    assert settings.service_public_keys["widget"]["kid"] == key.kid
    assert settings.access_token_issuer == settings.public_url
    for secret in (HEX_KEY, "a-long-generated-password", "some-other-long-password", "PRIVATE KEY"):
        assert secret not in repr(settings)


REQUIRED = [
    "PORT",
    "WORKER_PORT",
    "SERVICE_KEY",
    "SERVICE_PUBLIC_KEYS",
    "DATABASE_URL",
    "BROKER_URL",
    "TOMBSTONE_KEY",
    "JOURNAL_ENDPOINT_URL",
    "JOURNAL_ACCESS_KEY",
    "JOURNAL_SECRET_KEY",
]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("environment", ["development", "production"])
def test_missing_variable_refuses_the_start(name, environment, load):
    with pytest.raises(ValidationError, match=name.lower()):
        load(ENVIRONMENT=environment, PUBLIC_URL="https://irisvue.example", **{name: None})


PRIVATE_JWK = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
WEAK = {
    "TOMBSTONE_KEY": {
        "empty": "",
        "short": HEX_KEY[:-2],
        "long": HEX_KEY + "00",
        "no hexadecimal": "z" * 64,
        "a word": "secret",
        "one digit": "0" * 64,
        "a pattern": "deadbeef" * 8,
    },
    "SERVICE_KEY": {
        "empty": "",
        "a word": "secret",
        "no key": "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----",
        "RSA": pem(rsa.generate_private_key(65537, 2048)),
        "another curve": pem(ec.generate_private_key(ec.SECP384R1())),
        "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    },
    "SERVICE_PUBLIC_KEYS": {
        "empty": "",
        "no JSON": "{",
        "a list": "[]",
        "no key in it": '{"identity": {}}',
        "a private key": json.dumps(
            {"identity": ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)}
        ),
        "a symmetric key": '{"identity": {"kty": "oct", "k": "c2VjcmV0"}}',
    },
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name} {kind}")
        for name, values in WEAK.items()
        for kind, value in values.items()
    ],
)
def test_weak_or_unusable_secret_refuses_the_start_without_being_quoted(name, value, load):
    with pytest.raises(ValidationError, match=name.lower()) as refused:
        load(**{name: value})
    assert not value or value not in str(refused.value)


DEFAULT_PASSWORDS = ["guest", "postgres", "password", "changeme", "short", ""]


@pytest.mark.parametrize("password", DEFAULT_PASSWORDS)
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql+asyncpg://widget_app:{}@127.0.0.1/irisvue"),
        ("BROKER_URL", "amqp://widget:{}@127.0.0.1/irisvue"),
    ],
)
def test_short_password_in_an_address_refuses_the_start_in_production(name, url, password, load):
    load(**{name: url.format(password)})
    with pytest.raises(ValidationError) as refused:
        load(ENVIRONMENT="production", PUBLIC_URL="https://irisvue.example", **{name: url.format(password)})
    assert name.lower() in str(refused.value)
    assert url.format(password) not in str(refused.value)


def test_production_needs_a_public_address_with_tls(load):
    load(PUBLIC_URL="http://irisvue.example")
    load(ENVIRONMENT="production", PUBLIC_URL="https://irisvue.example")
    for address in ("http://irisvue.example", "irisvue.example", ""):
        with pytest.raises(ValidationError, match="https"):
            load(ENVIRONMENT="production", PUBLIC_URL=address)


def test_unknown_environment_refuses_the_start(load):
    with pytest.raises(ValidationError, match="environment"):
        load(ENVIRONMENT="prod")


def test_settings_do_not_change_while_the_process_runs(load):
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_start_that_is_refused_names_the_variables_and_no_value(load, capsys):
    load()
    with pytest.raises(ValidationError):
        load(TOMBSTONE_KEY="canary", PORT="canary", BROKER_URL=None)
    with pytest.raises(SystemExit) as ended:
        load_settings(WidgetSettings)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    for name in ("WIDGET_TOMBSTONE_KEY", "WIDGET_PORT", "WIDGET_BROKER_URL"):
        assert name in said
    assert "canary" not in said
    assert "make env" in said


def test_way_through_pgbouncer_needs_a_second_one_past_it(load, good):
    pooled = good["WIDGET_DATABASE_URL"] + "?prepared_statement_cache_size=0"
    with pytest.raises(ValidationError, match="WIDGET_DATABASE_DIRECT_URL"):
        load(DATABASE_URL=pooled)
    with pytest.raises(ValidationError, match="WIDGET_DATABASE_DIRECT_URL"):
        load(DATABASE_URL=pooled, DATABASE_DIRECT_URL=pooled)
    load(DATABASE_URL=pooled, DATABASE_DIRECT_URL=good["WIDGET_DATABASE_URL"])


def test_both_ways_to_the_database_may_have_the_same_password_in_production(load, good):
    settings = load(
        ENVIRONMENT="production",
        PUBLIC_URL="https://irisvue.example",
        DATABASE_URL=good["WIDGET_DATABASE_URL"] + "?prepared_statement_cache_size=0",
        DATABASE_DIRECT_URL=good["WIDGET_DATABASE_URL"],
    )
    assert settings.database_direct_url is not None


def test_password_is_seen_in_an_address_of_several_brokers(load):
    with pytest.raises(ValidationError, match="at least 16 characters"):
        load(
            ENVIRONMENT="production",
            PUBLIC_URL="https://irisvue.example",
            BROKER_URL="amqp://widget:guessed@one:5672,two:5672/irisvue",
        )
