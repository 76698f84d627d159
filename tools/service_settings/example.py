"""The part of `.env.example` that follows from the registry and from the Settings classes."""

from cluster.members import DATABASE_SERVICES, SERVICES
from cluster.variables import parsed
from contracts.registry import MEMBERS
from service_settings.fields import own_settings

NOTE = "# From here on `make settings` writes this file, from the registry of services and their Settings."
FIRST_PORT, FIRST_WORKER_PORT = 18101, 18111
PASSWORD, KEY, SIGNING_KEY = "<password>", "<256-bit key>", "<signing key>"


def rewritten(text: str) -> str:
    """Return the text of `.env.example` with its generated part anew; the rest is written by hand."""
    by_hand = text.partition(NOTE)[0]
    lines = [NOTE]
    for service in SERVICES:
        lines += ["", f"# --- {service} ---"]
        for name, (comment, value) in _variables(service).items():
            if name not in parsed(by_hand):
                lines += [f"# {comment}", f"{name}={value}"]
    return by_hand + "\n".join(lines) + "\n"


def _variables(service: str) -> dict[str, tuple[str, str]]:
    """Return comment and value of each variable of a service, by name."""
    member, prefix = MEMBERS[service], service.upper()
    found = {}
    if member.has_schema:
        position = DATABASE_SERVICES.index(service)
        worker_port = str(FIRST_WORKER_PORT + position)
        found[f"{prefix}_PORT"] = (f"API of {service} (native mode).", str(FIRST_PORT + position))
        found[f"{prefix}_WORKER_PORT"] = (f"Health of {service}'s worker (native mode).", worker_port)
        for schema in (service, *member.further_schemas):
            owner, app = f"{schema}_owner", f"{schema}_app"
            found[f"{owner.upper()}_PASSWORD"] = (f"Role {owner}, which migrates.", PASSWORD)
            found[f"{app.upper()}_PASSWORD"] = (f"Role {app}, which reads and writes rows.", PASSWORD)
        found[f"{prefix}_BROKER_PASSWORD"] = (f"RabbitMQ user {service}.", PASSWORD)
        comment = f"Keyed hash of erased people in {service}; must outlive every backup."
        found[f"{prefix}_TOMBSTONE_KEY"] = (comment, KEY)
    if member.counts:
        found[f"REDIS_{prefix}_PASSWORD"] = (f"Redis user {service}, for keys of its own.", PASSWORD)
    comment = f"EC P-256 private key with which {service} signs its calls."
    found[f"{prefix}_SERVICE_KEY"] = (comment, SIGNING_KEY)
    meanings = own_settings(service)
    found |= {f"{prefix}_{secret}": (meanings[f"{prefix}_{secret}"], KEY) for secret in member.secrets}
    return {name: (meaning, "") for name, meaning in meanings.items() if name not in found} | found
