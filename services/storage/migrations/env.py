"""Alembic's entry for photos; everything is in chassis.migrations."""

from chassis.migrations import run
from storage.models import SCHEMA, Base

run(Base.metadata, schema=SCHEMA)
