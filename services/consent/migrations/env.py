"""Runs the migrations of the schema `consent`."""

from chassis import migrations
from consent.models import SCHEMA, Base

migrations.run(Base.metadata, schema=SCHEMA)
