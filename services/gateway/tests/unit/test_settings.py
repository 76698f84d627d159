import json
from typing import Any

import pytest
from pydantic import ValidationError

from cluster.secret_values import public_keys, signing_key
from gateway.routes import RateClass, Upstream
from gateway.settings import GatewaySettings

NEEDED = {
    "GATEWAY_SERVICE_KEY": signing_key(),
    "GATEWAY_SERVICE_PUBLIC_KEYS": "{}",
    **{f"GATEWAY_{upstream.upper()}_URL": "http://127.0.0.1:18101" for upstream in Upstream},
    "GATEWAY_REDIS_URL": "redis://gateway:secret@127.0.0.1:18379/0",
    "GATEWAY_WORKER_URLS": "http://127.0.0.1:18111,http://127.0.0.1:18112,http://127.0.0.1:18113",
}


def from_environment(monkeypatch: pytest.MonkeyPatch, **more: str) -> GatewaySettings:
    for name, value in {**NEEDED, **more}.items():
        monkeypatch.setenv(name, value)
    return GatewaySettings()


def test_gateway_listens_on_port_8000_for_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(monkeypatch)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)


def test_every_class_has_a_limit_in_both_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in ("development", "production"):
        settings = from_environment(
            monkeypatch,
            GATEWAY_ENVIRONMENT=environment,
            GATEWAY_PUBLIC_URL="https://api.example",
            GATEWAY_SERVICE_PUBLIC_KEYS=public_keys({"gateway": NEEDED["GATEWAY_SERVICE_KEY"]}),
            GATEWAY_REDIS_URL="redis://gateway:a-long-generated-password@127.0.0.1:18379/0",
        )
        assert set(settings.rate_limits) == set(RateClass)


def test_single_limits_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(monkeypatch, GATEWAY_LIMITS=json.dumps({"login": "7/hour"}))
    login = settings.rate_limits[RateClass.LOGIN]
    assert (login.amount, login.get_expiry()) == (7, 3600)
    assert settings.rate_limits[RateClass.USER].amount > 7


@pytest.mark.parametrize("limits", [{"login": "many"}, {"sleep": "1/minute"}, {"login": ""}])
def test_limit_that_cannot_be_read_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        from_environment(monkeypatch, GATEWAY_LIMITS=json.dumps(limits))


def test_trusted_proxies_are_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(monkeypatch, GATEWAY_TRUSTED_PROXIES="10.0.0.0/8, fd00::/8")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]
    assert from_environment(monkeypatch, GATEWAY_TRUSTED_PROXIES="").trusted_proxies == ()


def test_missing_variable_refuses_the_start_without_quoting_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GATEWAY_REDIS_URL")
    with pytest.raises(ValidationError) as caught:
        GatewaySettings()
    assert "redis_url" in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_origins_of_pages_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_environment(
        monkeypatch, GATEWAY_CORS_ORIGINS="https://app.example, http://localhost:8081,http://[::1]:3000"
    )
    assert settings.cors_origins == ("https://app.example", "http://localhost:8081", "http://[::1]:3000")
    assert from_environment(monkeypatch, GATEWAY_CORS_ORIGINS="").cors_origins == ()


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*.example",
        "null",
        "app.example",
        "https://app.example/",
        "https://App.example",
        "https://a@app.example",
        "file://x",
        "https://",
    ],
)
def test_origin_that_no_browser_sends_is_refused(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    with pytest.raises(ValidationError):
        from_environment(monkeypatch, GATEWAY_CORS_ORIGINS=f"https://app.example,{origin}")
