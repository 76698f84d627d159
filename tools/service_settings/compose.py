"""The part of compose.yaml that follows from the registry and from the Settings classes.

The values are in the words in which Compose fills in variables.
"""

import json
from collections.abc import Mapping

from cluster.environment import ADMIN, DATABASE, KEYRING_DATABASE, REGION, VHOST
from cluster.errors import ClusterError
from cluster.members import (
    COUNTING_SERVICES,
    DATABASE_SERVICES,
    DOORS,
    SCHEMAS,
    SERVICES,
    STORING_SERVICES,
)
from cluster.variables import variables
from contracts.registry import JOURNAL_BUCKET, MEMBERS, Member
from service_settings.fields import SHARED, defaults, own_settings, settings

# A file of this machine, and where its container has it.
MOUNTED = {"CONSENT_GEOIP_DB_PATH": "/srv/geoip.mmdb"}
BEGIN = "# --- Environment of the services: written by `make settings`, not by hand ---"
END = "# --- End of what `make settings` writes ---"
BEGIN_CONTAINERS = (
    "  # --- Containers of the services with a schema: written by `make settings`, not by hand ---"
)
END_CONTAINERS = "  # --- End of the containers that `make settings` writes ---"
CONTAINERS = """
  {name}-migrate: &{name}-migrate
    <<: *job
    image: irisvue/{name}
    build:
      context: .
      dockerfile: infra/docker/python.Dockerfile
      target: member
      args: {{SERVICE: services/{name}, PYTHON_IMAGE: "${{PYTHON_IMAGE:-python:3.13-slim}}"}}
    command: [{name}, migrate]
    environment: *{name}-owner
    networks: [database]
    depends_on:
      bootstrap: {{condition: service_completed_successfully}}

  {name}-api: &{name}-api
    <<: [*service, *{name}-migrate]
    command: [{name}, api]
    environment: *{name}
    healthcheck: *api-health
    networks: [{networks}]
    depends_on: &{name}-needs
      {name}-migrate: {{condition: service_completed_successfully}}
{own}
  {name}-worker:
    <<: [*service, *{name}-api]
    command: [{name}, worker]
    healthcheck: *worker-health
{more}
"""
MAIL = """\
    depends_on:
      <<: *{name}-needs
      mail: {{condition: service_healthy}}
"""
# What counting takes: a script, the commands inside it, and a ping for readiness.
COUNTING = (
    *("ping", "hello", "client|setinfo", "evalsha", "script|load"),
    *("get", "set", "incrby", "rename", "del", "pttl"),
)
OWNERS = "OWNER_DATABASE_URL"


def rewritten(text: str) -> str:
    """Return the text of compose.yaml with its generated parts anew."""
    text = _replaced(text, BEGIN, END, _blocks())
    containers = "".join(_containers(MEMBERS[name]) for name in DATABASE_SERVICES)
    return _replaced(text, BEGIN_CONTAINERS, END_CONTAINERS, containers)


def _replaced(text: str, first: str, last: str, part: str) -> str:
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ClusterError(f"compose.yaml needs the lines {first!r} and {last!r}.")
    return before + begin + "\n" + part + end + after


def _containers(member: Member) -> str:
    """Return the containers of a service; what is its own follows from its entry and its settings."""
    networks, own, more = _networks(member), "", ""
    for variable in own_settings(member.name).keys() & MOUNTED.keys():
        own += f'    volumes: ["${{{variable}:-/dev/null}}:{MOUNTED[variable]}:ro"]\n'
    if (memory := defaults(member.name).get("MEMORY_BYTES")) is not None:
        # The API and what it starts; the service refuses to start where the sum does not fit.
        own += f'    mem_limit: "${{{member.name.upper()}_MEMORY_BYTES:-{memory}}}"\n'
    if further := _further_networks(member):
        more += f"    networks: [{', '.join(sorted({*networks, *further}))}]\n"
    if member.sends_mail:
        more += MAIL.format(name=member.name)
    text = CONTAINERS.format(name=member.name, networks=", ".join(networks), own=own, more=more)
    return "\n" + text.strip("\n").replace("\n\n\n", "\n\n") + "\n"


def _networks(member: Member) -> list[str]:
    objects = bool(member.bucket) and not member.keeps_versions
    used = {"counters": member.counts, "egress": member.reaches_out, "objects": objects}
    return sorted({"broker", "database", "services"} | {name for name, uses in used.items() if uses})


def _further_networks(member: Member) -> set[str]:
    """Return which networks the worker has beside those of the API."""
    # The erasure journal is the workers' alone.
    used = {"mailbox": member.sends_mail, "objects": member.has_schema}
    return {name for name, uses in used.items() if uses}


def _blocks() -> str:
    lines = ["x-redis: &redis", *_mapping({"USERS": _access_list()}), ""]
    lines += ["x-bootstrap: &bootstrap", *_mapping(_bootstrap()), ""]
    lines += ["x-backup: &backup", *_mapping(_backup()), ""]
    for service in SERVICES:
        environment = _environment(MEMBERS[service])
        # Only the process that migrates learns the passwords of the owner roles.
        owners = {name: value for name, value in environment.items() if name.endswith(OWNERS)}
        ordinary = {name: value for name, value in environment.items() if name not in owners}
        lines += [f"x-{service}: &{service}", *_mapping(ordinary), ""]
        if owners:
            lines += [f"x-{service}-owner: &{service}-owner", f"  <<: *{service}", *_mapping(owners), ""]
    return "\n".join(lines)


def _mapping(values: Mapping[str, str]) -> list[str]:
    # A JSON string is a string of YAML 1.2, too.
    return [f"  {name}: {json.dumps(value)}" for name, value in values.items()]


def _needed(name: str) -> str:
    return f"${{{name}:?run make env}}"


def _access_list() -> str:
    """Return the lines of an ACL file (Redis, `aclfile`); nobody gets in without a name and a password."""
    counting = [
        f"user {service} on >{_needed(f'REDIS_{service.upper()}_PASSWORD')} ~{service}:* resetchannels -@all "
        + " ".join(f"+{command}" for command in COUNTING)
        for service in COUNTING_SERVICES
    ]
    admin = f"user {ADMIN} on >{_needed('REDIS_ADMIN_PASSWORD')} ~* &* +@all"
    return "\n".join(["user default off", admin, *counting]) + "\n"


def _bootstrap() -> dict[str, str]:
    """Return where the bootstrap job finds the servers, and the passwords of everybody that it prepares."""
    roles = [f"{schema.upper()}_{role}_PASSWORD" for schema in SCHEMAS for role in ("OWNER", "APP")]
    users = [f"{service.upper()}_BROKER_PASSWORD" for service in DATABASE_SERVICES]
    own = (
        "ENVIRONMENT",
        "POSTGRES_ADMIN_PASSWORD",
        "BACKUP_PASSWORD",
        "RABBITMQ_ADMIN_PASSWORD",
        "S3_ADMIN_ACCESS_KEY",
        "S3_ADMIN_SECRET_KEY",
    )
    return {
        "POSTGRES_ADDRESS": "postgres:5432",
        "RABBITMQ_MANAGEMENT_ADDRESS": "rabbitmq-management:15672",
        "S3_ADDRESS": "s3:8333",
        **{name: f"${{{name}-}}" for name in (f"{it.upper()}_S3_BUCKET" for it in STORING_SERVICES)},
        **{name: _needed(name) for name in (*own, *roles, *users)},
    }


def _backup() -> dict[str, str]:
    """Return what backups need: one role that reads every schema, and who lists each bucket."""
    stores = [f"{service.upper()}_S3" for service in STORING_SERVICES]
    keys = [f"{store}_{key}" for store in stores for key in ("ACCESS_KEY", "SECRET_KEY")]
    optional = ["BACKUP_RECIPIENT", "BACKUP_HOURS"]
    optional += ["IDENTITY_BACKUP_DAYS", "IDENTITY_KEYRING_BACKUP_DAYS"]
    optional += [f"{store}_BUCKET" for store in stores]
    return {
        "POSTGRES_ADDRESS": "postgres:5432",
        "S3_ADDRESS": "s3:8333",
        "BACKUP_DIRECTORY": "/backups",
        **{name: f"${{{name}-}}" for name in optional},
        **{name: _needed(name) for name in ("BACKUP_PASSWORD", *keys)},
    }


def _environment(member: Member) -> dict[str, str]:
    """Return every setting of a service: what `.env` says, else what the cluster's own servers need."""
    prefix = member.name.upper()
    wired = {f"{prefix}_{name}": value for name, value in _wiring(member).items()}
    known = variables()
    for name, variable in SHARED.items():
        if name in settings(member.name):
            wired[f"{prefix}_{name}"] = f"${{{variable}-}}" if known[variable].optional else _needed(variable)
    return wired | {name: _overridable(name, wired.get(name, "")) for name in own_settings(member.name)}


def _overridable(name: str, wired: str) -> str:
    if name in MOUNTED:
        return f"${{{name}:+{MOUNTED[name]}}}"
    if wired == _needed(name):
        return wired
    return f"${{{name}:-{wired}}}" if wired else f"${{{name}-}}"


def _wiring(member: Member) -> dict[str, str]:
    """Return what a service needs to reach the servers and services of this cluster, with their secrets."""
    service, prefix = member.name, member.name.upper()
    found = {"HOST": "0.0.0.0", "PORT": "8000", "LOG_LEVEL": _needed("LOG_LEVEL")}  # noqa: S104 - in a container
    found |= {name: _needed(f"{prefix}_{name}") for name in ("SERVICE_KEY", *member.secrets)}
    if member.has_schema:
        broker = f"amqp://{service}:{_needed(f'{prefix}_BROKER_PASSWORD')}@rabbitmq:5672/{VHOST}?heartbeat=10"
        found |= {
            "WORKER_PORT": "8001",
            "BROKER_URL": broker,
            "TOMBSTONE_KEY": _needed(f"{prefix}_TOMBSTONE_KEY"),
        }
        found |= {"DATABASE_URL": _database(f"{service}_app", DATABASE)}
        found |= {"OWNER_DATABASE_URL": _database(f"{service}_owner", DATABASE)}
        found |= {"JOURNAL_ENDPOINT_URL": "http://s3:8333", "JOURNAL_BUCKET": JOURNAL_BUCKET}
        found |= {"JOURNAL_REGION": REGION}
        found |= {f"JOURNAL_{key}": _needed(f"ERASURE_JOURNAL_{key}") for key in ("ACCESS_KEY", "SECRET_KEY")}
    else:
        found["WORKER_URLS"] = ",".join(f"http://{other}-worker:8001" for other in DATABASE_SERVICES)
    for schema in member.further_schemas:
        found[f"{schema.upper()}_DATABASE_URL"] = _database(f"{schema}_app", KEYRING_DATABASE)
        found[f"{schema.upper()}_OWNER_DATABASE_URL"] = _database(f"{schema}_owner", KEYRING_DATABASE)
    if member.coordinates:
        others = (other for other in DATABASE_SERVICES if other != service)
        found["PARTICIPANT_URLS"] = ",".join(f"{other}=http://{other}-api:8000" for other in others)
    for other in member.asks:
        found[f"{other.upper()}_URL"] = f"http://{other if other in DOORS else f'{other}-api'}:8000"
    return found | _servers(member)


def _servers(member: Member) -> dict[str, str]:
    """Return where the servers are that a service uses beside the database and the broker."""
    found, prefix = {}, member.name.upper()
    if member.counts:
        found["REDIS_URL"] = f"redis://{member.name}:{_needed(f'REDIS_{prefix}_PASSWORD')}@redis:6379/0"
    if member.sends_mail:
        found["SMTP_URL"] = "smtp://mail:1025"
    if member.bucket:
        found |= {"S3_ENDPOINT_URL": "http://s3:8333", "S3_BUCKET": member.bucket, "S3_REGION": REGION}
        found |= {name: _needed(f"{prefix}_{name}") for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY")}
    return found


def _database(role: str, database: str) -> str:
    return f"postgresql+asyncpg://{role}:{_needed(f'{role.upper()}_PASSWORD')}@postgres:5432/{database}"
