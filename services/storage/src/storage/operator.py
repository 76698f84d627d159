"""What operators do at the command line: `python -m storage COMMAND`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from chassis.holdings import Holdings
from storage.holdings import HOLDINGS
from storage.main import STORAGE
from storage.sealing import KeyServiceUnavailable, KeyUnusable
from storage.settings import StorageSettings
from storage.use_cases.reconcile_consents import compare_open_gates, reconcile_consents
from storage.use_cases.reconcile_objects import BucketReport, reconcile_objects
from storage.use_cases.rewrap_keys import BATCH, Rewrapping, rewrap_keys
from storage.wiring import Service, open_service

Command = Callable[[Service, argparse.Namespace], Awaitable[int]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the operator's commands to the service's command line."""
    reconcile = commands.add_parser(
        "reconcile", help="take over what has changed in consent, and compare the bucket with the photos"
    )
    reconcile.add_argument(
        "--all", action="store_true", help="ask consent about every open gate, trusting no position"
    )
    reconcile.add_argument("--only", choices=("consents", "objects"), help="do this part alone")
    reconcile.add_argument("--dry-run", action="store_true", help="remove no object, only count them")
    commands.add_parser(
        "rewrap", help="wrap every data key anew under the key-encryption key that is active now"
    )


def run_command(settings: StorageSettings, arguments: argparse.Namespace) -> int:
    """Run the chosen command and return the exit status."""
    return asyncio.run(_run(settings, arguments))


async def _run(settings: StorageSettings, arguments: argparse.Namespace) -> int:
    commands: dict[str, Command] = {"reconcile": _reconcile, "rewrap": _rewrap}
    async with open_service(settings) as service:
        return await commands[arguments.process](service, arguments)


async def _reconcile(service: Service, arguments: argparse.Namespace) -> int:
    status = 0
    if arguments.only != "objects":
        await _reconcile_consents(service, everything=arguments.all)
    if arguments.only != "consents" and not arguments.all:
        status = await _reconcile_objects(service, remove=not arguments.dry_run)
    return status


async def _reconcile_consents(service: Service, *, everything: bool) -> None:
    if everything:
        now = service.clock.now()
        count = await compare_open_gates(service.database, service.consents, unchecked_since=now)
        _say(f"{count} open gates were compared")
    else:
        _say(f"{await reconcile_consents(service.database, service.consents)} gates were behind")


async def _reconcile_objects(service: Service, *, remove: bool) -> int:
    for _, sweep in STORAGE.journaled(service):
        await sweep()
    _say("of erased people no row and no data key is left")
    report = await reconcile_objects(
        service.database,
        service.vault,
        settled_by=service.clock.now() - service.unsettled,
        most_removed=None if remove else 0,
        tell=_tell_objects,
    )
    _say(f"{report.photos} photos have bytes, and the bucket has {report.objects} versions of objects")
    _say(f"{report.removed} of {report.orphans} orphans were removed; {report.others} are of no photo")
    _say(f"{report.missing} objects are missing")
    for photo_id in report.named:
        _say(f"  missing: an object of photo {photo_id}")
    return 0 if report.in_order else 1


async def _rewrap(service: Service, arguments: argparse.Namespace) -> int:
    del arguments
    holdings = Holdings(service, HOLDINGS)
    try:
        done = await rewrap_keys(
            service.keyring,
            service.key_providers,
            people=lambda: holdings.people(at_once=BATCH),
            tell=_tell_keys,
        )
    except (KeyServiceUnavailable, KeyUnusable) as error:
        _say(f"stopped: {error} What was moved stays moved; run this again.")
        return 1
    _say(f"{done.moved} data keys were moved to {done.active}")
    for key_id, count in sorted(done.left.items()):
        _say(f"  {key_id} still wraps {count} data keys: keep it")
    for reason, count in sorted(done.unopened.items()):
        _say(f"  {count} data keys could not be opened ({reason}); the log says which key is missing")
    for key_id in done.retired:
        _say(
            f"  {key_id} wraps none any more and may be retired, when every process wraps with {done.active}"
            " and every backup of the keyring is younger than this"
        )
    return 1 if done.left else 0


def _tell_objects(report: BucketReport) -> None:
    sys.stderr.write(f"{report.objects} versions seen, {report.removed} removed\n")


def _tell_keys(so_far: Rewrapping) -> None:
    sys.stderr.write(f"{so_far.moved} data keys moved\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
