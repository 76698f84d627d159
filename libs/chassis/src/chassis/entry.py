"""The command line of a service: its processes and its operators' commands, alike everywhere."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from chassis.faults import TransientFault, is_transient
from chassis.hardening import forbid_inspection
from chassis.problems import describe
from chassis.settings import ServiceSettings, StatefulSettings
from chassis.telemetry import configure_logging

S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T", bound=BaseSettings)
AddCommands = Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None]  # noqa: SLF001 - a type
HELP = {
    "api": "serve HTTP",
    "worker": "relay, consume and do scheduled work",
    "migrate": "bring the schema to its newest version",
}


def run_service(
    service: str,
    settings_class: type[S],
    processes: Mapping[str, Callable[[S], None]],
    *,
    add_commands: AddCommands | None = None,
    run_command: Callable[[S, argparse.Namespace], int] | None = None,
) -> None:
    """Run the one of `processes` that the command line names.

    `add_commands` and `run_command` add commands of the service's own; one that is ended by a fault that
    passes exits with 75 (EX_TEMPFAIL of sysexits.h), without a traceback.
    """
    forbid_inspection()
    parser = argparse.ArgumentParser(prog=f"python -m {service}")
    commands = parser.add_subparsers(dest="process", required=True)
    for name in processes:
        commands.add_parser(name, help=HELP[name])
    if add_commands is not None:
        add_commands(commands)
    arguments = parser.parse_args()
    settings = load_settings(settings_class)
    configure_logging(service=service, level=settings.log_level)
    if arguments.process in processes:
        processes[arguments.process](settings)
    elif run_command is not None:
        try:
            status = run_command(settings, arguments)
        except Exception as error:
            if not is_transient(error) or isinstance(error, FileNotFoundError | PermissionError):
                raise
            # A server's own words may hold what it was asked, so of those only the class is shown.
            words = error if isinstance(error, TransientFault) else describe(error)
            sys.stderr.write(f"error: {words}; run this again when it is there\n")
            status = os.EX_TEMPFAIL
        raise SystemExit(status)


def load_settings(settings_class: type[T]) -> T:
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
