"""Alembic's entry: everything is in chassis.migrations."""

from chassis.migrations import run
from identity.models import SCHEMA, Base

run(Base.metadata, schema=SCHEMA)
