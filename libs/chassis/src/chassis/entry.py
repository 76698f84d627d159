"""The command line of a service: `api`, `worker` and `migrate`, alike everywhere."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from fastapi import FastAPI
from pydantic import ValidationError

from chassis.api import serve
from chassis.hardening import forbid_inspection
from chassis.migrations import upgrade
from chassis.settings import StatefulSettings
from chassis.telemetry import configure_logging
from chassis.worker import Worker

S = TypeVar("S", bound=StatefulSettings)
PROCESSES = frozenset({"api", "worker", "migrate"})


def run_service(
    service: str,
    settings_class: type[S],
    *,
    create_api: Callable[[S], FastAPI],
    create_worker: Callable[[S], Awaitable[Worker]],
    migrate: Callable[[S], None] | None = None,
    add_commands: Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None] | None = None,
    run_command: Callable[[S, argparse.Namespace], int] | None = None,
) -> None:
    """Run the process that the command line names.

    `migrate` replaces the usual migration of one schema from the service's `migrations/` folder;
    `add_commands` and `run_command` add commands of the service's own.
    """
    forbid_inspection()
    parser = argparse.ArgumentParser(prog=f"python -m {service}")
    commands = parser.add_subparsers(dest="process", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("worker", help="relay, consume and do scheduled work")
    commands.add_parser("migrate", help="bring the schema to its newest version")
    if add_commands is not None:
        add_commands(commands)
    arguments = parser.parse_args()
    process = arguments.process
    settings = load_settings(settings_class)
    configure_logging(service=service, level=settings.log_level)
    if run_command is not None and process not in PROCESSES:
        raise SystemExit(run_command(settings, arguments))
    if process == "api":
        serve(create_api(settings), host=settings.host, port=settings.port).run()
    elif process == "worker":
        asyncio.run(_work(create_worker, settings))
    elif migrate is not None:
        migrate(settings)
    else:
        upgrade(migrations_of(service), owner_url(settings))


def load_settings(settings_class: type[S]) -> S:
    """Return the settings from the environment, or end the process saying which variables are wrong."""
    try:
        return settings_class()
    except ValidationError as error:
        prefix = str(settings_class.model_config.get("env_prefix", ""))
        for found in error.errors(include_input=False, include_url=False):
            name = prefix + "_".join(str(part) for part in found["loc"]).upper()
            message = found["msg"].removeprefix("Value error, ")
            # What is wrong with several variables together names them itself.
            sys.stderr.write(f"{name}: {message}\n" if found["loc"] else f"{message}\n")
        sys.stderr.write("`make env` writes a complete .env; .env.example describes every variable.\n")
        raise SystemExit(2) from None


def migrations_of(service: str, folder: str = "migrations") -> Path:
    """Return the migrations folder of a service, which stands beside its `src/`."""
    module = sys.modules["__main__"].__spec__
    if module is None or module.origin is None:
        raise SystemExit(f"run this as `python -m {service} migrate`")
    return Path(module.origin).resolve().parents[2] / folder


def owner_url(settings: StatefulSettings) -> str:
    """Return the address with the schema owner's rights; only migrations have it."""
    if settings.owner_database_url is None:
        raise SystemExit("OWNER_DATABASE_URL is not set; migrations run with the owner's rights")
    return settings.owner_database_url.get_secret_value()


async def _work(create_worker: Callable[[S], Awaitable[Worker]], settings: S) -> None:
    worker = await create_worker(settings)
    await worker.run()
