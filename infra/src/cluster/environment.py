"""Turns the values of `.env` into the environment of each service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster import catalogue, variables
from cluster.members import DATABASE_SERVICES, DOORS, FURTHER_SCHEMAS, MEMBERS, SERVICES, Member

BUCKET = "irisvue-photos"
REGION = "us-east-1"
DATABASE = "irisvue"
KEYRING_DATABASE = "keyring"
VHOST = "irisvue"
ADMIN = "irisvue_admin"
OWNER_SETTINGS = frozenset(
    {"OWNER_DATABASE_URL", *(f"{schema.upper()}_OWNER_DATABASE_URL" for schema in FURTHER_SCHEMAS)}
)
INSIDE_API_PORT = 8000
INSIDE_WORKER_PORT = 8001


@dataclass(frozen=True)
class Listen:
    """Where one service listens."""

    host: str
    port: str
    worker_port: str


@dataclass(frozen=True)
class Network:
    """How the parts of a cluster reach each other: `host:port` of every server and API."""

    postgres: str
    amqp: str
    management: str
    redis: str
    s3: str
    smtp: str
    apis: Mapping[str, str]
    workers: Sequence[str]
    listen: Mapping[str, Listen]


def native_network(values: Mapping[str, str]) -> Network:
    """All on the loopback interface, on the ports of `.env`."""

    def local(name: str) -> str:
        return f"127.0.0.1:{values[name]}"

    listen = {
        service: Listen(
            "127.0.0.1", values[f"{service.upper()}_PORT"], values[f"{service.upper()}_WORKER_PORT"]
        )
        for service in DATABASE_SERVICES
    }
    listen |= {
        door: Listen(values[f"{door.upper()}_HOST"], values[f"{door.upper()}_PORT"], "") for door in DOORS
    }
    return Network(
        postgres=local("POSTGRES_PORT"),
        amqp=local("RABBITMQ_PORT"),
        management=local("RABBITMQ_MANAGEMENT_PORT"),
        redis=local("REDIS_PORT"),
        s3=local("S3_PORT"),
        smtp=local("SMTP_PORT"),
        apis={service: local(f"{service.upper()}_PORT") for service in SERVICES},
        workers=[local(f"{service.upper()}_WORKER_PORT") for service in DATABASE_SERVICES],
        listen=listen,
    )


def compose_network() -> Network:
    """Container names and the images' own ports, as compose.yaml spells them."""
    inside = Listen("0.0.0.0", str(INSIDE_API_PORT), str(INSIDE_WORKER_PORT))  # noqa: S104
    names = {service: f"{service}-api" for service in DATABASE_SERVICES} | {door: door for door in DOORS}
    return Network(
        postgres="postgres:5432",
        amqp="rabbitmq:5672",
        management="rabbitmq-management:15672",
        redis="redis:6379",
        s3="s3:8333",
        smtp="mail:1025",
        apis={service: f"{name}:{INSIDE_API_PORT}" for service, name in names.items()},
        workers=[f"{service}-worker:{INSIDE_WORKER_PORT}" for service in DATABASE_SERVICES],
        listen=dict.fromkeys(SERVICES, inside),
    )


def service_environment(
    values: Mapping[str, str], service: str, network: Network, *, migrates: bool = False
) -> dict[str, str]:
    """Return the variables of one service's processes, each with that service's prefix.

    Every setting of the service is among them: what `.env` says, else what the cluster's own servers need,
    else nothing. Only the process that migrates learns the passwords of the owner roles.
    """
    wired = wiring(values, service, network, migrates=migrates)
    names = own_names(service, migrates=migrates)
    return wired | {name: values.get(name, "") or wired.get(name, "") for name in names}


def own_names(service: str, *, migrates: bool = False) -> list[str]:
    """Return the variables that `.env` can set for this service alone; the owner's only when it migrates."""
    return [
        f"{service.upper()}_{name}"
        for name in catalogue.own_settings(service)
        if migrates or name not in OWNER_SETTINGS
    ]


def wiring(
    values: Mapping[str, str], service: str, network: Network, *, migrates: bool = False
) -> dict[str, str]:
    """Return what a service needs to reach the servers and services of this cluster, with their secrets."""
    prefix = service.upper()
    listen = network.listen[service]
    environment = {
        "HOST": listen.host,
        "PORT": listen.port,
        "LOG_LEVEL": values["LOG_LEVEL"],
        **{name: values[f"{prefix}_{name}"] for name in ("SERVICE_KEY", *MEMBERS[service].secrets)},
        **_shared(values, service),
    }
    if service in DATABASE_SERVICES:
        environment |= _with_database(values, service, network)
    for other in MEMBERS[service].asks:
        environment[f"{other.upper()}_URL"] = f"http://{network.apis[other]}"
    if service in DOORS:
        environment["WORKER_URLS"] = ",".join(f"http://{worker}" for worker in network.workers)
    environment |= _servers(values, MEMBERS[service], network)
    if migrates and service in DATABASE_SERVICES:
        environment |= _owner_urls(values, service, network)
    return {f"{prefix}_{name}": value for name, value in environment.items()}


def _shared(values: Mapping[str, str], service: str) -> dict[str, str]:
    known = variables.variables()
    return {
        name: values.get(variable, "") if known[variable].optional else values[variable]
        for name, variable in catalogue.SHARED.items()
        if name in catalogue.settings(service)
    }


def _with_database(values: Mapping[str, str], service: str, network: Network) -> dict[str, str]:
    prefix = service.upper()
    return {
        "WORKER_PORT": network.listen[service].worker_port,
        "BROKER_URL": f"amqp://{service}:{values[f'{prefix}_BROKER_PASSWORD']}@{network.amqp}/{VHOST}?heartbeat=10",
        "DATABASE_URL": database_url(values, f"{service}_app", DATABASE, network),
        "TOMBSTONE_KEY": values[f"{prefix}_TOMBSTONE_KEY"],
    }


def _owner_urls(values: Mapping[str, str], service: str, network: Network) -> dict[str, str]:
    urls = {"OWNER_DATABASE_URL": database_url(values, f"{service}_owner", DATABASE, network)}
    for schema in MEMBERS[service].further_schemas:
        url = database_url(values, f"{schema}_owner", KEYRING_DATABASE, network)
        urls[f"{schema.upper()}_OWNER_DATABASE_URL"] = url
    return urls


def _servers(values: Mapping[str, str], member: Member, network: Network) -> dict[str, str]:
    """Return where the servers are that this service uses beside the database and the broker."""
    prefix = member.name.upper()
    found = {
        f"{schema.upper()}_DATABASE_URL": database_url(values, f"{schema}_app", KEYRING_DATABASE, network)
        for schema in member.further_schemas
    }
    if member.counts:
        found["REDIS_URL"] = redis_url(values, member.name, network)
    if member.sends_mail:
        found["SMTP_URL"] = f"smtp://{network.smtp}"
    if member.stores_objects:
        found |= {
            "S3_ENDPOINT_URL": f"http://{network.s3}",
            "S3_ACCESS_KEY": values[f"{prefix}_S3_ACCESS_KEY"],
            "S3_SECRET_KEY": values[f"{prefix}_S3_SECRET_KEY"],
            "S3_BUCKET": BUCKET,
            "S3_REGION": REGION,
        }
    return found


def database_url(values: Mapping[str, str], role: str, database: str, network: Network) -> str:
    """Return the SQLAlchemy URL of one role."""
    return f"postgresql+asyncpg://{role}:{role_password(values, role)}@{network.postgres}/{database}"


def redis_url(values: Mapping[str, str], user: str, network: Network) -> str:
    """Return the URL of Redis' database 0 for a service, or for the admin for `irisvue_admin`."""
    name = "ADMIN" if user == ADMIN else user.upper()
    return f"redis://{user}:{values[f'REDIS_{name}_PASSWORD']}@{network.redis}/0"


def bucket_of(values: Mapping[str, str]) -> str:
    """Return the name of the bucket of sealed photos."""
    return values.get("STORAGE_S3_BUCKET", "") or BUCKET


def role_password(values: Mapping[str, str], role: str) -> str:
    """Return the password of `<schema>_owner` or `<schema>_app`."""
    return values[f"{role.upper()}_PASSWORD"]
