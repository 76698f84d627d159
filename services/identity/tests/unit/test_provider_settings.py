import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from identity.settings import IdentitySettings

KEY = "0123456789abcdef" * 4


def pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def made(monkeypatch):
    """Return a function that reads the settings from these variables and what every service needs."""

    def _made(**variables: str) -> IdentitySettings:
        needed = {
            "SERVICE_KEY": pem(),
            "SERVICE_PUBLIC_KEYS": "{}",
            "SIGNING_KEY": pem(),
            "REFRESH_TOKEN_KEY": KEY,
            "TOMBSTONE_KEY": KEY,
            "JOURNAL_ENDPOINT_URL": "http://127.0.0.1:1",
            "JOURNAL_ACCESS_KEY": "none",
            "JOURNAL_SECRET_KEY": "none",
            "DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1/none",
            "BROKER_URL": "amqp://127.0.0.1/",
            "SMTP_URL": "smtp://127.0.0.1:25",
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }
        for name, value in {**needed, **variables}.items():
            monkeypatch.setenv(f"IDENTITY_{name}", value)
        return IdentitySettings()

    return _made


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("[]", ()),
        ("org.irisvue.app", ("org.irisvue.app",)),
        (" org.irisvue.app , org.irisvue.web,", ("org.irisvue.app", "org.irisvue.web")),
        ('["org.irisvue.app", "org.irisvue.web"]', ("org.irisvue.app", "org.irisvue.web")),
    ],
)
def test_audiences_are_a_comma_or_a_json_list(made, text, names):
    settings = made(APPLE_AUDIENCES=text, GOOGLE_AUDIENCES=text)
    assert settings.apple_audiences == settings.google_audiences == names


@pytest.mark.parametrize("text", ["[", '["a"', "[1]"])
def test_audiences_that_are_no_list_refuse_the_start(made, text):
    with pytest.raises(ValidationError):
        made(APPLE_AUDIENCES=text)


def test_without_any_variable_both_providers_are_off(made):
    settings = made(APPLE_TEAM_ID="", APPLE_KEY_ID="", APPLE_PRIVATE_KEY="", PROVIDER_TOKEN_KEY="")
    assert settings.apple_audiences == settings.google_audiences == ()
    assert settings.apple_private_key is None


def test_apple_s_credentials_are_given_together_or_not_at_all(made):
    whole = {
        "APPLE_TEAM_ID": "TEAM123456",
        "APPLE_KEY_ID": "KEY1234567",
        "APPLE_PRIVATE_KEY": pem().replace("\n", "\\n"),
        "PROVIDER_TOKEN_KEY": KEY,
    }
    assert made(**whole).apple_private_key is not None
    for missing in whole:
        with pytest.raises(ValidationError, match="belong together"):
            made(**{**whole, missing: ""})


def test_a_key_for_sealing_alone_is_fine(made):
    assert made(PROVIDER_TOKEN_KEY=KEY).apple_private_key is None


@pytest.mark.parametrize("name", ["APPLE_JWKS_URL", "APPLE_TOKEN_URL", "APPLE_REVOKE_URL", "GOOGLE_JWKS_URL"])
def test_production_reaches_providers_over_tls_only(made, name):
    production = {"ENVIRONMENT": "production", "PUBLIC_URL": "https://irisvue.example"}
    with pytest.raises(ValidationError, match="https://"):
        made(**production, **{name: "http://provider.example/"})


CHOICES = {
    "PASSWORD_MIN_LENGTH": ("password_min_length", 8, "15", 15),
    "REGISTRATION_DISCLOSURE": ("registration_disclosure", "tell", "conceal", "conceal"),
    "ERASURE_FRESH_MINUTES": ("erasure_fresh_minutes", 0, "5", 5),
    "MAIL_LINK_BASE": (
        "link_base",
        "http://localhost:8000/api/v1/auth",
        "https://app.example",
        "https://app.example",
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_an_empty_variable_is_as_good_as_none(made, name):
    field, default, text, value = CHOICES[name]
    assert getattr(made(**{name: ""}), field) == default
    assert getattr(made(**{name: text}), field) == value


@pytest.mark.parametrize(
    ("environment", "scheme", "starts"),
    [
        ("development", "smtp", True),
        ("development", "http", False),
        ("production", "smtp", False),
        ("production", "smtps", True),
        ("production", "smtp+starttls", True),
    ],
)
def test_mail_leaves_production_over_tls_only(made, environment, scheme, starts):
    try:
        made(ENVIRONMENT=environment, SMTP_URL=f"{scheme}://irisvue:Wobbly-teapots-42-sky@mail.example:25")
        complaints = []
    except ValidationError as error:
        complaints = [found["loc"] for found in error.errors()]
    assert (("smtp_url",) not in complaints) is starts
