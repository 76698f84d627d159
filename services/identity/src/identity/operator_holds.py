"""What operators do about holds: `python -m identity erasures {hold,release,holds}`."""

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from uuid import UUID

from identity.command_line import columns, fail, in_a_line, say
from identity.erasure.schemas import CODE_OF_HOLD
from identity.models import ErasureHold
from identity.repositories import Holds
from identity.use_cases.erasure.end_hold import end_hold
from identity.use_cases.erasure.place_hold import HoldRefused, NewHold, place_hold
from identity.wiring import Service

LISTED = 200
_CODE = re.compile(CODE_OF_HOLD)
_NAME = re.compile(r"[a-z_]{1,40}")
_TIME = "%Y-%m-%d %H:%M:%S"


def add_hold_commands(named: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands about holds to `erasures`."""
    hold = named.add_parser("hold", help="keep something of a person from being erased until a day")
    hold.add_argument("subject", type=UUID, help="the account's id, or that of its erasure")
    hold.add_argument("--service", type=_name, required=True, help="who has it, such as storage")
    hold.add_argument("--kind", type=_name, required=True, help="what it is, such as photos")
    hold.add_argument("--record", type=UUID, help="the one thing of that kind; all of them without it")
    hold.add_argument("--code", type=_code, required=True, help="the ground, such as eu-gdpr:A17-3-e")
    hold.add_argument("--legal-reference", type=in_a_line, required=True, help="the law, and the case")
    hold.add_argument(
        "--approver", type=partial(in_a_line, most=100), required=True, help="who answers for it"
    )
    hold.add_argument(
        "--until", type=_until, required=True, help="a day (its end, in UTC) or a moment with an offset"
    )
    hold.add_argument(
        "--unchecked", action="store_true", help="do not ask the service first: it is closed, after a restore"
    )
    hold.set_defaults(command=_hold)
    release = named.add_parser("release", help="end a hold before its time; the erasure goes on by itself")
    release.add_argument("hold_id", type=UUID)
    release.add_argument("--by", type=partial(in_a_line, most=100), required=True, help="who decided it")
    release.add_argument("--reason", type=in_a_line, required=True, help="why it is not needed any more")
    release.set_defaults(command=_release)
    listing = named.add_parser("holds", help="list the holds in force, what ends first coming first")
    listing.set_defaults(command=_list)


def told_holds(holds: Sequence[ErasureHold]) -> str:
    """Return holds as lines."""
    head = ("HOLD", "SERVICE", "KIND", "END", "GROUND", "APPROVED BY")
    return columns(head, *map(_row, holds))


async def _hold(service: Service, arguments: argparse.Namespace) -> int:
    wanted = NewHold(
        service=arguments.service,
        kind=arguments.kind,
        record=arguments.record,
        code=arguments.code,
        legal_reference=arguments.legal_reference,
        approver=arguments.approver,
        expires_at=arguments.until,
    )
    try:
        hold = await place_hold(
            service.database,
            None if arguments.unchecked else service.inventories,
            subject=arguments.subject,
            wanted=wanted,
            rules=service.rules,
        )
    except HoldRefused as refused:
        return fail(f"nothing is held: {refused}")
    return say(f"hold {hold.id} is in force until {wanted.expires_at:{_TIME}} UTC")


async def _release(service: Service, arguments: argparse.Namespace) -> int:
    async with service.unit_of_work() as uow:
        ended = await end_hold(
            uow,
            arguments.hold_id,
            rules=service.rules,
            released_by=arguments.by,
            reason=arguments.reason,
        )
    if not ended:
        return fail("no hold in force has this id")
    return say("the hold has ended; what it kept is erased if an erasure is open")


async def _list(service: Service, _arguments: argparse.Namespace) -> int:
    async with service.database.read_only() as session:
        holds = await Holds(session).all_in_force(limit=LISTED)
    if not holds:
        return say("no hold is in force")
    say(told_holds(holds))
    return say(f"the {LISTED} that end first are shown") if len(holds) == LISTED else 0


def _row(hold: ErasureHold) -> tuple[str, ...]:
    if hold.released_by is not None:
        end = f"released {hold.ended_at:{_TIME}} UTC by {hold.released_by}: {hold.release_reason}"
    else:
        end = f"{hold.ended_at or hold.expires_at:{_TIME}} UTC"
    return str(hold.id), hold.service, hold.kind, end, f"{hold.code}, {hold.legal_reference}", hold.approver


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("this is no name of a service or of a kind")
    return text


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise argparse.ArgumentTypeError("a code has at most 64 letters, digits and :._/-")
    return text


def _until(text: str) -> datetime:
    """Return the end of a day, in UTC, or a moment that says its offset."""
    try:
        if len(text) == len("2027-03-31"):
            day = date.fromisoformat(text)
            return datetime.combine(day, time(), UTC) + timedelta(days=1)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError("must read like 2027-03-31 or 2027-03-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a moment needs its offset, such as a Z at its end")
    return moment.astimezone(UTC)
