"""Every variable of `.env`: what it means and what it is at first start."""

from collections.abc import Callable
from dataclasses import dataclass

from cluster import catalogue
from cluster import secret_values as secret
from cluster.members import COUNTING_SERVICES, DATABASE_SERVICES, SCHEMAS, SERVICES


@dataclass(frozen=True)
class Variable:
    """One line of `.env`; a secret has a maker instead of a default."""

    name: str
    comment: str
    default: str = ""
    make: Callable[[], str] | None = None
    optional: bool = False

    @property
    def is_port(self) -> bool:
        """Whether `--port-offset` moves it."""
        return self.name.endswith("_PORT")


@dataclass(frozen=True)
class Group:
    """Variables that belong together, under one heading."""

    title: str
    variables: tuple[Variable, ...]


PUBLIC_KEYS = "SERVICE_PUBLIC_KEYS"


def _general() -> Group:
    return Group(
        "Cluster",
        (
            Variable(
                "COMPOSE_PROJECT_NAME",
                "Name of the containers, network and volumes in Docker mode.",
                "irisvue",
            ),
            Variable(
                "ENVIRONMENT", "development or production; production refuses weak secrets.", "development"
            ),
            Variable(
                "PUBLIC_URL",
                "How the app reaches the gateway; issuer of tokens, base of links.",
                "http://localhost:8000",
            ),
            Variable(
                "LOG_LEVEL",
                "DEBUG, INFO, WARNING or ERROR; for one service alone: IDENTITY_LOG_LEVEL and so on.",
                "INFO",
            ),
            Variable(
                "GATEWAY_HOST",
                "Address the gateway listens on; everything else listens on 127.0.0.1.",
                "0.0.0.0",  # noqa: S104 - phones on the same network are the point of a gateway
            ),
            *_of_several_services(),
        ),
    )


def _of_several_services() -> tuple[Variable, ...]:
    return (
        Variable(
            "IDENTITY_PROVED_ADDRESS_FOR_BIOMETRICS",
            "true: no consent to and no upload of pictures before the e-mail address is proved.",
            optional=True,
        ),
        Variable(
            "STORAGE_UPLOAD_LIMIT_BYTES",
            "Largest accepted photo, for storage and the gateway alike. Default: 25000000.",
            optional=True,
        ),
        Variable(
            "CORS_ORIGINS",
            "Web pages that may call the API, by comma, as https://app.example.org; empty: none.",
            optional=True,
        ),
    )


def _ports() -> Group:
    ports = [Variable("GATEWAY_PORT", "The only door.", "8000")]
    for position, service in enumerate(DATABASE_SERVICES, start=1):
        ports.append(
            Variable(f"{service.upper()}_PORT", f"API of {service} (native mode).", str(18100 + position))
        )
        ports.append(
            Variable(
                f"{service.upper()}_WORKER_PORT",
                f"Health of {service}'s worker (native mode).",
                str(18110 + position),
            )
        )
    ports += [
        Variable("POSTGRES_PORT", "PostgreSQL.", "18432"),
        Variable("RABBITMQ_PORT", "RabbitMQ, AMQP.", "18672"),
        Variable("RABBITMQ_MANAGEMENT_PORT", "RabbitMQ, management pages and API.", "18673"),
        Variable("RABBITMQ_PROMETHEUS_PORT", "RabbitMQ, metrics.", "18674"),
        Variable("RABBITMQ_DISTRIBUTION_PORT", "RabbitMQ, Erlang distribution (native mode).", "18675"),
        Variable("EPMD_PORT", "Erlang port mapper (native mode).", "18369"),
        Variable("REDIS_PORT", "Redis.", "18379"),
        Variable("S3_PORT", "SeaweedFS, S3 API.", "18333"),
        Variable("S3_MASTER_PORT", "SeaweedFS, master (native mode).", "18334"),
        Variable("S3_VOLUME_PORT", "SeaweedFS, volumes (native mode).", "18335"),
        Variable("S3_FILER_PORT", "SeaweedFS, filer (native mode).", "18336"),
        Variable("SMTP_PORT", "Development mailbox, SMTP.", "18025"),
        Variable("MAIL_UI_PORT", "Development mailbox, pages (Docker mode).", "18026"),
    ]
    return Group("Ports", tuple(ports))


RETIRED = frozenset({"GATEWAY_BROKER_PASSWORD"})
"""What an earlier version has generated into `.env`, and nobody reads any more."""


def _secret(name: str, comment: str, make: Callable[[], str] = secret.password) -> Variable:
    return Variable(name, comment, make=make)


def _redis_secrets() -> list[Variable]:
    admin = _secret("REDIS_ADMIN_PASSWORD", "Redis user irisvue_admin, for tests and a look inside.")
    counting = [
        _secret(f"REDIS_{service.upper()}_PASSWORD", f"Redis user {service}, for keys of its own.")
        for service in COUNTING_SERVICES
    ]
    return [admin, *counting]


def _server_secrets() -> Group:
    admin_only = "only the bootstrap job uses it."
    variables = [_secret("POSTGRES_ADMIN_PASSWORD", f"Superuser irisvue_admin; {admin_only}")]
    for schema in SCHEMAS:
        prefix = schema.upper()
        variables.append(_secret(f"{prefix}_OWNER_PASSWORD", f"Role {schema}_owner, which migrates."))
        variables.append(
            _secret(f"{prefix}_APP_PASSWORD", f"Role {schema}_app, which reads and writes rows.")
        )
    variables.append(_secret("RABBITMQ_ADMIN_PASSWORD", f"User irisvue_admin; {admin_only}"))
    variables += [
        _secret("RABBITMQ_COOKIE", "Erlang cookie: who has it commands the broker's node."),
        *(_secret(f"{name.upper()}_BROKER_PASSWORD", f"RabbitMQ user {name}.") for name in DATABASE_SERVICES),
        *_redis_secrets(),
        _secret(
            "S3_ADMIN_ACCESS_KEY", f"S3 identity that creates the bucket; {admin_only}", secret.access_key
        ),
        _secret("S3_ADMIN_SECRET_KEY", "Its secret."),
        _secret(
            "STORAGE_S3_ACCESS_KEY", "S3 identity of storage, for its own bucket only.", secret.access_key
        ),
        _secret("STORAGE_S3_SECRET_KEY", "Its secret."),
        _secret(
            "S3_ENCRYPTION_KEY", "The store encrypts with it; lost, objects are unreadable.", secret.key_256
        ),
        _secret(
            "S3_FILER_KEY", "Signs writes to the store's filer, which would be open without.", secret.key_256
        ),
        _secret("S3_FILER_READ_KEY", "Signs reads from the filer.", secret.key_256),
        _secret("S3_VOLUME_KEY", "Signs writes to the store's volumes.", secret.key_256),
        _secret("S3_VOLUME_READ_KEY", "Signs reads from the volumes.", secret.key_256),
        _secret(
            "S3_GRPC_CERTIFICATE",
            r"Certificate and key by which the parts of the store know each other; line ends written as \n.",
            secret.own_certificate,
        ),
    ]
    return Group("Secrets of the servers", tuple(variables))


def _service_secrets() -> Group:
    variables = []
    for service in SERVICES:
        comment = f"EC P-256 private key with which {service} signs its calls."
        variables.append(_secret(f"{service.upper()}_SERVICE_KEY", comment, secret.signing_key))
    variables.append(
        _secret(PUBLIC_KEYS, "Their public halves by service; rewritten when they no longer match.", str)
    )
    for service in DATABASE_SERVICES:
        comment = f"Keyed hash of erased people in {service}; must outlive every backup."
        variables.append(_secret(f"{service.upper()}_TOMBSTONE_KEY", comment, secret.key_256))
    variables += [
        _secret("IDENTITY_SIGNING_KEY", "EC P-256 private key that signs access tokens.", secret.signing_key),
        _secret("IDENTITY_REFRESH_TOKEN_KEY", "Keyed hash of refresh tokens.", secret.key_256),
        _secret(
            "IDENTITY_PROVIDER_TOKEN_KEY",
            "Seals what Apple granted; lost, deletions can't revoke it.",
            secret.key_256,
        ),
        _secret(
            "STORAGE_KEY_ENCRYPTION_KEYS",
            "Keys that wrap the data key of each person; lost keys mean lost photos.",
            secret.key_encryption_keys,
        ),
        _secret("STORAGE_LINK_KEY", "Signs upload and download links.", secret.key_256),
    ]
    return Group("Secrets of the services", tuple(variables))


def _images() -> Group:
    """Return the images of Docker mode; the names stand in compose.yaml."""
    comment = "Image of {}; empty: the tag in compose.yaml. `make pin` writes the digest of that tag."
    return Group(
        "Images",
        tuple(
            Variable(f"{name}_IMAGE", comment.format(what), optional=True)
            for name, what in (
                ("POSTGRES", "PostgreSQL"),
                ("RABBITMQ", "RabbitMQ"),
                ("REDIS", "Redis"),
                ("S3", "SeaweedFS"),
                ("MAIL", "the development mailbox"),
                ("PYTHON", "Python, on which ours are built"),
            )
        ),
    )


def _settings_of(service: str, elsewhere: set[str]) -> Group:
    """Return what the service's Settings class declares and no other group lists."""
    named = {
        f"{service.upper()}_{name}": meaning for name, meaning in catalogue.own_settings(service).items()
    }
    return Group(
        f"Settings of {service}: empty is the default",
        tuple(
            Variable(name, meaning, optional=True) for name, meaning in named.items() if name not in elsewhere
        ),
    )


def groups() -> tuple[Group, ...]:
    """All variables, in the order in which `.env` lists them."""
    named = (_general(), _ports(), _images(), _server_secrets(), _service_secrets())
    elsewhere = {variable.name for group in named for variable in group.variables}
    return (*named, *(_settings_of(service, elsewhere) for service in SERVICES))


def variables() -> dict[str, Variable]:
    """All variables by name."""
    return {variable.name: variable for group in groups() for variable in group.variables}
