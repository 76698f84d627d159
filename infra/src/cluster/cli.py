"""The command line: `python -m cluster …`, which the Makefile calls."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cluster import migrations
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.members import SCHEMAS

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; an expected failure is one message on standard error and status 1."""
    options = _parser().parse_args(arguments)
    layout = Layout.of(options.directory)
    try:
        return _run(options, layout)
    except ClusterError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(
            f"\nerror: this user may not read or write {error.filename}. Run the command as the user who "
            f"first ran `make up`, or give the files back: sudo chown -R $(id -un) {layout.home}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make down` stops what was started", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace, layout: Layout) -> int:
    if options.command in {"exec", "operate", "run"}:
        _become(options, layout)
    if options.command == "revision":
        migrations.write(layout, options.schema, options.message)
        return 0
    if options.command == "migrations":
        for schema in options.schemas or SCHEMAS:
            migrations.show(layout, schema)
        return 0
    if options.command == "downgrade":
        migrations.downgrade(layout, options.schema, options.to)
        return 0
    from cluster.commands import Commands  # noqa: PLC0415

    commands = Commands(layout, port_offset=getattr(options, "port_offset", 0))
    confirmed = getattr(options, "yes", False) or os.environ.get("CONFIRM") == "yes"
    run: dict[str, Callable[[], int]] = {
        "up": lambda: commands.up(
            mode=options.mode, only_servers=options.only == "servers", watch=options.watch
        ),
        "stop": lambda: commands.stop(options.name),
        "mail": lambda: commands.mail(options.number),
        "geoip": lambda: commands.geoip(options.file),
        "down": commands.down,
        "status": commands.status,
        "logs": lambda: commands.logs(options.name, follow=not options.no_follow),
        "reset": lambda: commands.reset(confirmed=confirmed),
        "bootstrap": lambda: commands.bootstrap(inside_compose=options.inside_compose),
        "env": commands.env,
        "pin": commands.pin,
        "backup": lambda: commands.backup(scheduled=options.scheduled),
        "restore": lambda: commands.restore(options.backup, options.key),
        "backup-key": lambda: commands.backup_key(options.file),
    }
    return run[options.command]()


def _become(options: argparse.Namespace, layout: Layout) -> NoReturn:
    # This runs once per process of the cluster and needs few imports.
    if options.command == "operate":
        from cluster import operating  # noqa: PLC0415

        operating.become(layout, options.service, options.arguments)
    from native import launch  # noqa: PLC0415 - the image of the bootstrap job lacks it

    process = [sys.executable, "-m", options.service, getattr(options, "process", "")]
    launch.become(layout, options.service, getattr(options, "arguments", process))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, help="a separate cluster, with its own .env and data in this directory"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and wait until it is ready")
    up.add_argument("--mode", default=os.environ.get("MODE") or None, help="native or compose")
    up.add_argument("--only", choices=["servers"], help="start the servers without our services")
    up.add_argument("--watch", action="store_true", help="start our processes anew when their sources change")
    up.add_argument("--port-offset", type=int, default=0, help="added to every default port in a new .env")
    commands.add_parser("down", help="stop everything, keep the data")
    commands.add_parser("status", help="what runs and whether it is ready")
    logs = commands.add_parser("logs", help="follow the logs")
    logs.add_argument("name", nargs="?", default="", help="beginning of a process name, such as identity")
    logs.add_argument("--no-follow", action="store_true")
    reset = commands.add_parser("reset", help="stop everything and delete all data")
    reset.add_argument("--yes", action="store_true")
    bootstrap = commands.add_parser("bootstrap", help="prepare PostgreSQL, RabbitMQ and S3")
    bootstrap.add_argument("--inside-compose", action="store_true")
    _add_tools(commands)
    return parser


def _add_tools(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add what a developer needs beside starting and stopping."""
    commands.add_parser("env", help="create or complete .env")
    stop = commands.add_parser("stop", help="stop one process; `up` starts it again")
    stop.add_argument("name")
    mail = commands.add_parser("mail", help="show what the development mailbox has received")
    mail.add_argument("number", nargs="?", type=int, help="1 is the newest mail")
    places = commands.add_parser("geoip", help="have consent look addresses up in a MaxMind database")
    places.add_argument("file", type=Path)
    backup = commands.add_parser("backup", help="back the running cluster up, sealed for BACKUP_RECIPIENT")
    backup.add_argument("--scheduled", action="store_true", help="once in BACKUP_HOURS, until stopped")
    restore = commands.add_parser("restore", help="stop our services and restore a backup")
    restore.add_argument("backup", type=Path, help="the directory of the backup")
    restore.add_argument("--key", type=Path, required=True, help="a file with the private key of age")
    key = commands.add_parser("backup-key", help="make the key pair of backups")
    key.add_argument("file", type=Path, help="where the private key goes")
    commands.add_parser("pin", help="write the digests of the images into .env")
    revise = commands.add_parser("revision", help="write a migration from a service's models")
    revise.add_argument("schema")
    revise.add_argument("message")
    shown = commands.add_parser("migrations", help="print the version of each schema and its history")
    shown.add_argument("schemas", nargs="*")
    back = commands.add_parser("downgrade", help="take migrations of a schema back")
    back.add_argument("schema")
    back.add_argument("to", help="a revision, `base`, or `-1` for one step back")
    _add_processes(commands)


def _add_processes(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add what becomes a process of a service, or runs beside one."""
    execute = commands.add_parser("exec", help="become one process of a service")
    execute.add_argument("service")
    execute.add_argument("process", choices=["api", "worker", "migrate"])
    operate = commands.add_parser("operate", help="run a command of a service's operator where that runs")
    operate.add_argument("service")
    operate.add_argument("arguments", nargs=argparse.REMAINDER)
    run = commands.add_parser("run", help="run a command with the variables of a service")
    run.add_argument("service")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
