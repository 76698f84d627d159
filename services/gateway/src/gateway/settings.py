"""What the gateway can be told from outside: the GATEWAY_ variables."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from limits import RateLimitItem
from limits import parse as parse_limit
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from chassis.settings import ServerUrl, ServiceSettings
from gateway.headers import Network
from gateway.limits import Shares
from gateway.routes import RateClass, Upstream

_LIMITS: dict[str, dict[RateClass, str]] = {
    "production": {
        RateClass.REGISTER: "5/hour",
        RateClass.LOGIN: "50/15 minutes",
        RateClass.REFRESH: "300/minute",
        RateClass.RECOVER: "20/15 minutes",
        RateClass.PUBLIC: "300/minute",
        RateClass.LINK: "300/minute",
        RateClass.REFUSED: "60/minute",
        RateClass.USER: "600/minute",
        RateClass.UPLOAD: "50/day",
    },
    # One machine plays all clients, tests and load included.
    "development": dict.fromkeys(RateClass, "60000/minute"),
}


# The widest private networks: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193).
_WIDEST_PROXIES = {4: 8, 6: 7}


def _known_limit(value: str) -> str:
    try:
        parse_limit(value)
    except ValueError:
        raise ValueError('must read like "50/15 minutes" or "600/minute"') from None
    return value


def _json_object(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _comma_separated(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origin(text: str) -> str:
    """Return an origin as browsers write it (RFC 6454 §6.2)."""
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "*" in text
        or f"{parts.scheme}://{parts.netloc}" != text
        or parts.username is not None
        or text != text.lower()
    ):
        raise ValueError("must read like https://app.example or http://localhost:8081, and is never *")
    return text


Origin = Annotated[str, AfterValidator(_origin)]


def _not_everybody(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    # Whoever is believed may name any address as the client's; half of the internet is nobody's balancer.
    if any(network.prefixlen < _WIDEST_PROXIES[network.version] for network in networks):
        raise ValueError("must name the networks of your own load balancers, not those of everybody")
    return networks


LimitText = Annotated[str, AfterValidator(_known_limit)]


class GatewaySettings(ServiceSettings):
    """Settings of the gateway."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - the one part of the platform that the outside reaches
        description="Address on which the API listens.",
    )
    port: int = Field(default=8000, description="Port of the API.")
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that share the port, at most one per core; one that ends is started anew.",
    )
    identity_url: str = Field(description="Where identity answers.")
    consent_url: str = Field(description="Where consent answers.")
    storage_url: str = Field(description="Where storage answers.")
    upload_limit_bytes: int = Field(
        default=25_000_000, ge=1, description="Largest photo that storage accepts."
    )
    redis_url: ServerUrl = Field(description="Where requests are counted.")
    worker_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = Field(
        description="Where the workers tell their health, comma-separated: they know how RabbitMQ is."
    )
    access_token_longest_minutes: int = Field(
        default=60,
        description="Tokens that live longer are refused; ended sessions are remembered that long.",
    )
    limits: Annotated[dict[RateClass, LimitText], NoDecode, BeforeValidator(_json_object)] = Field(
        default_factory=dict, description='Replaces single limits, as JSON: {"login": "50/15 minutes"}.'
    )
    trusted_proxies: Annotated[
        tuple[Network, ...], NoDecode, BeforeValidator(_comma_separated), AfterValidator(_not_everybody)
    ] = Field(default=(), description="Networks of load balancers whose X-Forwarded-For is believed.")
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_comma_separated)] = Field(
        default=(),
        description="Origins whose pages may call the API, comma-separated, like https://app.example.",
    )
    most_requests_at_once: int = Field(default=1000, description="More at once are answered 503.")
    most_requests_of_one_address: int = Field(
        default=128, description="More at once from one address (an IPv6 /64) are answered 429."
    )
    most_requests_of_one_person: int = Field(
        default=32, description="More at once of one person, or over one session's links, are answered 429."
    )

    @property
    def upstream_urls(self) -> Mapping[Upstream, str]:
        """Where each service listens."""
        return {upstream: str(getattr(self, f"{upstream}_url")) for upstream in Upstream}

    @property
    def rate_limits(self) -> Mapping[RateClass, RateLimitItem]:
        """The limit of every class: the environment's, unless replaced."""
        texts = {**_LIMITS[self.environment], **self.limits}
        return {name: parse_limit(text) for name, text in texts.items()}

    @property
    def shares(self) -> Shares:
        """How many requests may run at once."""
        return Shares(
            everybody=self.most_requests_at_once,
            address=self.most_requests_of_one_address,
            person=self.most_requests_of_one_person,
        )

    @property
    def remember_revocations(self) -> timedelta:
        """The longest lifetime of a token that is accepted, and some leeway for clocks."""
        return timedelta(minutes=self.access_token_longest_minutes, seconds=60)
