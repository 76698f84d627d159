"""Starts one process of the consent service: `python -m consent api|worker|migrate`."""

import asyncio
import sys
from pathlib import Path

from chassis.api import serve
from chassis.migrations import upgrade
from chassis.telemetry import configure_logging
from consent.main import create_api, create_worker
from consent.settings import ConsentSettings

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


async def _work(settings: ConsentSettings) -> None:
    worker = await create_worker(settings)
    await worker.run()


def main(arguments: list[str]) -> None:
    """Run the process that is named on the command line until it ends."""
    if len(arguments) != 1 or arguments[0] not in {"api", "worker", "migrate"}:
        sys.exit("usage: python -m consent api|worker|migrate")
    settings = ConsentSettings()
    configure_logging(service="consent", level=settings.log_level)
    if arguments[0] == "api":
        serve(create_api(settings), host=settings.host, port=settings.port).run()
    elif arguments[0] == "worker":
        asyncio.run(_work(settings))
    elif settings.owner_database_url is None:
        sys.exit("set CONSENT_OWNER_DATABASE_URL: migrations run as the owner of the schema")
    else:
        upgrade(MIGRATIONS, settings.owner_database_url.get_secret_value())


if __name__ == "__main__":
    main(sys.argv[1:])
