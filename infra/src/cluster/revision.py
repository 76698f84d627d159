"""Writes a new migration from what a service's models say and its running database lacks."""

import os
from pathlib import Path

from cluster import env_file
from cluster.environment import DATABASE, KEYRING_DATABASE, database_url, native_network
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import SCHEMAS


def write(layout: Layout, schema: str, message: str) -> None:
    """Add `NNNN_<message>.py` to the migrations of `schema`, which are those of a service or `keyring`."""
    if schema not in SCHEMAS:
        raise ClusterError(f"There is no schema {schema}. There are: {', '.join(SCHEMAS)}.")
    # Alembic takes a while to import, and no other command needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    values = env_file.load(layout.env_file)
    is_keyring = schema == "keyring"
    database = KEYRING_DATABASE if is_keyring else DATABASE
    # The paths in alembic.ini are relative to the service.
    os.chdir(layout.checkout / "services" / ("storage" if is_keyring else schema))
    config = Config("alembic.ini", ini_section="keyring" if is_keyring else "alembic")
    config.attributes["url"] = database_url(values, f"{schema}_owner", database, native_network(values))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    number = len(list(Path(config.get_main_option("script_location") or ".").glob("versions/*.py"))) + 1
    command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
