"""What prepares and starts the cluster, as it follows from the registry."""

from contracts.registry import MEMBERS

SERVICES = tuple(MEMBERS)
COUNTING_SERVICES = tuple(name for name, member in MEMBERS.items() if member.counts)
DATABASE_SERVICES = tuple(name for name, member in MEMBERS.items() if member.has_schema)
DOORS = tuple(name for name, member in MEMBERS.items() if not member.has_schema)
STORING_SERVICES = tuple(name for name, member in MEMBERS.items() if member.bucket)
OWNERS = {schema: name for name in DATABASE_SERVICES for schema in (name, *MEMBERS[name].further_schemas)}
"""The service of each schema."""
FURTHER_SCHEMAS = tuple(schema for member in MEMBERS.values() for schema in member.further_schemas)
SCHEMAS = (*DATABASE_SERVICES, *FURTHER_SCHEMAS)
