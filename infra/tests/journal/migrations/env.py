"""Runs the migrations of the schema `journal`."""

from journal.models import SCHEMA, Base

from chassis import migrations

migrations.run(Base.metadata, schema=SCHEMA)
