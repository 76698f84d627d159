"""What Alembic does for a developer: write, list and take back the migrations of a schema."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import env_file
from cluster.environment import DATABASE, KEYRING_DATABASE, database_url
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import OWNERS, SCHEMAS

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationInfo


def write(layout: Layout, schema: str, message: str) -> None:
    """Add `NNNN_<message>.py` to the migrations of `schema`, with what its database lacks of its models."""
    # Alembic takes a while to import, and no other command needs it.
    from alembic import command  # noqa: PLC0415

    config = _config(layout, schema)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    number = len(list(Path(config.get_main_option("script_location") or ".").glob("versions/*.py"))) + 1
    command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")


def show(layout: Layout, schema: str) -> None:
    """Print the version that the running database has, and the history of the migrations."""
    from alembic import command  # noqa: PLC0415

    config = _config(layout, schema)
    print(f"{schema}:")
    command.current(config)
    command.history(config, indicate_current=True)


def downgrade(layout: Layout, schema: str, to: str) -> None:
    """Take migrations back until the database is at `to`, a revision, `base`, or `-1` for one step.

    Prints each step, and what it destroyed where it did.
    """
    from alembic import command  # noqa: PLC0415
    from alembic.script import Script  # noqa: PLC0415

    def tell(*, step: "MigrationInfo", **_: object) -> None:
        script = step.up_revision
        if isinstance(script, Script):
            print(f"{schema} {script.revision}, {script.doc} {script.module.downgrade.__doc__}")

    config = _config(layout, schema)
    config.attributes["on_version_apply"] = (tell,)
    command.downgrade(config, to)


def _config(layout: Layout, schema: str) -> "Config":
    if schema not in SCHEMAS:
        raise ClusterError(f"There is no schema {schema}. There are: {', '.join(SCHEMAS)}.")
    from alembic.config import Config  # noqa: PLC0415

    values = env_file.load(layout.env_file)
    owner = OWNERS[schema]
    database = DATABASE if owner == schema else KEYRING_DATABASE
    # The paths in alembic.ini are relative to the service.
    os.chdir(layout.checkout / "services" / owner)
    section = "alembic" if owner == schema else schema
    config = Config("alembic.ini", ini_section=section, stdout=sys.stdout)
    config.attributes["url"] = database_url(values, f"{schema}_owner", database)
    return config
