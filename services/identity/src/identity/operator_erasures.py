"""What operators do about erasures: `python -m identity erasures COMMAND`."""

import argparse
import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from contracts.topology import erasure_participants
from identity.command_line import columns, fail, in_a_line, say, spoken_age
from identity.models import Erasure, ErasureParticipant
from identity.operator_holds import add_hold_commands, told_holds
from identity.repositories import ErasureOverview, Erasures, Holds
from identity.use_cases.erasure.bundle_evidence import bundle_evidence
from identity.use_cases.erasure.redrive_erasure import redrive_erasure
from identity.use_cases.erasure.retire_participant import retire_participant
from identity.use_cases.erasure.show_erasure import steps_of
from identity.wiring import Service

LISTED = 200
MOST_OF_A_NAME = 100
_TIME = "%Y-%m-%d %H:%M:%S"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `erasures` and its commands to the service's command line."""
    erasures = commands.add_parser("erasures", help="list, show and ask again about erasures")
    named = erasures.add_subparsers(dest="erasures", required=True)
    listing = named.add_parser("list", help="list open erasures, the oldest first, and who has not reported")
    listing.add_argument("--overdue", action="store_true", help="only those whose deadline has passed")
    listing.set_defaults(command=_list)
    for name, command, help_text in (
        ("show", _show, "show the steps of an erasure and what each participant said"),
        ("redrive", _redrive, "ask every participant of an erasure again now"),
    ):
        parser = named.add_parser(name, help=help_text)
        parser.add_argument("erasure_id", type=UUID)
        parser.set_defaults(command=command)
    retire = named.add_parser(
        "retire-participant",
        help="wait no longer for a service that is gone; every erasure without it shows why",
    )
    retire.add_argument("service")
    retire.add_argument("--reason", type=in_a_line, required=True, help="shown in status and certificates")
    retire.set_defaults(command=_retire)
    add_hold_commands(named)
    evidence = commands.add_parser("evidence", help="write what proves an erasure into one file")
    evidence.add_argument("erasure_id", type=UUID)
    evidence.add_argument("--out", type=Path, required=True, help="the ZIP to write; it must not exist")
    evidence.add_argument("--by", required=True, help="who takes it; noted in the database")
    evidence.add_argument("--published-at", default="", help="where the gateway is; PUBLIC_URL by default")
    evidence.set_defaults(command=_evidence)


async def _list(service: Service, arguments: argparse.Namespace) -> int:
    now = service.clock.now()
    async with service.database.read_only() as session:
        waiting = await ErasureOverview(session).waiting(
            due_before=now if arguments.overdue else None, limit=LISTED
        )
    if not waiting:
        return say("no erasure is overdue" if arguments.overdue else "no erasure is open")
    rows = [
        (
            str(one.id),
            spoken_age(now - one.requested_at),
            _left(one.deadline - now),
            str(one.times_asked),
            ", ".join(one.missing) or "nobody",
        )
        for one in waiting
    ]
    say(columns(("ERASURE", "AGE", "DEADLINE", "ASKED", "WAITS FOR"), *rows))
    return say(f"the {LISTED} oldest are shown") if len(waiting) == LISTED else 0


async def _show(service: Service, arguments: argparse.Namespace) -> int:
    async with service.database.read_only() as session:
        erasure = await Erasures(session).find(arguments.erasure_id)
        participants = await Erasures(session).participants(arguments.erasure_id)
        holds = await Holds(session).told_of(arguments.erasure_id)
    if erasure is None:
        return fail("no erasure has this id")
    say(columns(*_steps(erasure)))
    say("")
    say(columns(("PARTICIPANT", "REPORTED", "ERASED"), *map(_row, participants)))
    return say("\n" + told_holds(holds)) if holds else 0


async def _redrive(service: Service, arguments: argparse.Namespace) -> int:
    async with service.unit_of_work() as uow:
        if not await redrive_erasure(uow, erasure_id=arguments.erasure_id):
            return fail("no open erasure has this id")
    return say("every participant is being asked again")


async def _retire(service: Service, arguments: argparse.Namespace) -> int:
    name = arguments.service
    if name in (*erasure_participants(), *service.rules.processors):
        return fail(f"{name} is part of this release or of its settings, and takes part in every erasure")
    # Certificates are signed with the key that signs now, which rotation may have made.
    await service.load_keys()
    without = await retire_participant(
        service.database, name, reason=arguments.reason, certificates=service.certificates
    )
    if without is None:
        return fail(f"no service {name} has ever announced that it takes part")
    return say(f"{name} is retired; {without} open erasures go on without it, and later ones")


async def _evidence(service: Service, arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    if await asyncio.to_thread(out.exists):
        return fail(f"{out} exists")
    bundled = await bundle_evidence(
        service.database,
        erasure_id=arguments.erasure_id,
        made_by=arguments.by[:MOST_OF_A_NAME],
        published_at=arguments.published_at or service.settings.public_url,
    )
    if bundled is None:
        return fail("no erasure has this id")
    bundle, missing = bundled
    await asyncio.to_thread(_write, out, bundle)
    if missing:
        return say(f"wrote {out} without {', '.join(missing)}: name the gateway with --published-at")
    return say(f"wrote {out}")


def _write(out: Path, bundle: bytes) -> None:
    # Nobody else on this machine needs to read it, and nothing that is there is overwritten.
    out.touch(mode=0o600, exist_ok=False)
    out.write_bytes(bundle)


def _left(time: timedelta) -> str:
    return f"in {spoken_age(time)}" if time >= timedelta() else f"{spoken_age(-time)} ago"


def _steps(erasure: Erasure) -> list[tuple[str, str]]:
    steps = [(step.value, at) for step, at in steps_of(erasure)]
    steps += [(f"asked the last of {erasure.times_asked} times", erasure.asked_at)]
    steps += [("deadline", erasure.deadline)]
    return [(f"{at:{_TIME}} UTC", step) for step, at in steps]


def _row(part: ErasureParticipant) -> tuple[str, str, str]:
    if part.completed_at is None and part.retired_at is not None:
        return part.service, f"retired {part.retired_at:{_TIME}} UTC", part.retired_reason or ""
    if part.held_at is not None:
        counts = f"{_counts(part.erased) or 'nothing'}; held: {_counts(part.held)}"
        return part.service, f"all but holds {part.held_at:{_TIME}} UTC", counts
    if part.completed_at is None:
        return part.service, "waiting", ""
    return part.service, f"{part.completed_at:{_TIME}} UTC", _counts(part.erased) or "nothing held"


def _counts(numbers: Mapping[str, int] | None) -> str:
    return ", ".join(f"{kind} {number}" for kind, number in sorted((numbers or {}).items()) if number)
