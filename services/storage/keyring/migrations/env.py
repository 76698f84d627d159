"""Alembic's entry for the keyring; everything is in chassis.migrations."""

from chassis.migrations import run
from storage.models import KEYRING_SCHEMA, KeyringBase

run(KeyringBase.metadata, schema=KEYRING_SCHEMA)
