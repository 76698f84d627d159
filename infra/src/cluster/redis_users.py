"""Who may do what in Redis: each service counts under keys of its own, the admin may do everything."""

from collections.abc import Mapping

from cluster.environment import ADMIN
from cluster.members import COUNTING_SERVICES

# What counting takes: a script, the commands inside it, and a ping for readiness.
COMMANDS = (
    *("ping", "hello", "client|setinfo", "evalsha", "script|load"),
    *("get", "set", "incrby", "rename", "del", "pttl"),
)


def access_list(values: Mapping[str, str]) -> str:
    """Return the lines of an ACL file (Redis, `aclfile`); nobody gets in without a name and a password."""
    admin = f"user {ADMIN} on >{values['REDIS_ADMIN_PASSWORD']} ~* &* +@all"
    counting = [
        f"user {service} on >{values[f'REDIS_{service.upper()}_PASSWORD']} ~{service}:* resetchannels -@all "
        + " ".join(f"+{command}" for command in COMMANDS)
        for service in COUNTING_SERVICES
    ]
    return "\n".join(["user default off", admin, *counting]) + "\n"
