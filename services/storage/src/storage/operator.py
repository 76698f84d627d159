"""What operators do at the command line: `python -m storage COMMAND`."""

import argparse
import asyncio
import sys

from storage.settings import StorageSettings
from storage.use_cases.reconcile_consents import compare_open_gates, reconcile_consents
from storage.wiring import open_service


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the operator's commands to the service's command line."""
    reconcile = commands.add_parser("reconcile", help="take over what has changed in consent")
    reconcile.add_argument(
        "--all", action="store_true", help="ask consent about every open gate, trusting no position"
    )


def run_command(settings: StorageSettings, arguments: argparse.Namespace) -> int:
    """Run the chosen command and return the exit status."""
    count = asyncio.run(_reconcile(settings, everything=arguments.all))
    said = "open gates were compared" if arguments.all else "gates were behind"
    sys.stdout.write(f"{count} {said}\n")
    return 0


async def _reconcile(settings: StorageSettings, *, everything: bool) -> int:
    async with open_service(settings) as service:
        if everything:
            now = service.clock.now()
            return await compare_open_gates(service.database, service.consents, unchecked_since=now)
        return await reconcile_consents(service.database, service.consents)
