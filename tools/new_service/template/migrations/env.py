"""Runs the migrations of the schema `sample`."""

from chassis import migrations
from sample.models import SCHEMA, Base

migrations.run(Base.metadata, schema=SCHEMA)
