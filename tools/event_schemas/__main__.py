"""Command line: freeze the schemas, write the page of the events, or check that both fit the models."""

import argparse
import sys
from pathlib import Path

from contracts.catalogue import EVENTS, by_type
from contracts.envelope import Event
from event_schemas import asyncapi, documentation, frozen, history

_NEW_VERSION = (
    "Only optional fields may be added to a published event. Put the old model back and publish a .v2"
    " beside it (libs/contracts/README.md, 'Change an event')."
)
_FREEZE = "Run `make schemas`, look at the difference, and commit it."


def main(arguments: list[str] | None = None, library: Path = frozen.LIBRARY) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "schemas":
        return _report(frozen.write(library), _NEW_VERSION)
    if options.command == "docs":
        documentation.page_path(library).write_text(documentation.page())
        asyncapi.path(library).write_text(asyncapi.text())
        return 0
    try:
        return _check(library, options.against)
    except LookupError as error:
        return _report(
            [str(error)], "Name a revision that this checkout has: git fetch, or another --against."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m event_schemas")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("schemas", help="freeze the schemas of all events; refuses a breaking change")
    commands.add_parser("docs", help=f"write {documentation.PAGE} and asyncapi.json")
    check = commands.add_parser("check", help="fail when the schemas or the page differ from the models")
    check.add_argument(
        "--against", metavar="REVISION", help="also compare with the schemas of a git revision"
    )
    return parser


def _check(library: Path, revision: str | None) -> int:
    promises = [frozen.frozen_schemas(library), history.schemas_at(revision, library) if revision else {}]
    broken = {
        change: None
        for promised in promises
        for event_type, schema in promised.items()
        if (event := _published(event_type)) is not None
        for change in frozen.breaks(schema, event)
    }
    if broken:
        return _report(list(broken), _NEW_VERSION)
    page, events = documentation.page_path(library), asyncapi.path(library)
    written = ((page, documentation.PAGE, documentation.page()), (events, asyncapi.FILE, asyncapi.text()))
    stale = [
        f"{name} is not what the models say"
        for file, name, text in written
        if not (file.is_file() and file.read_text() == text)
    ]
    return _report([*frozen.drift(library), *stale], _FREEZE)


def _published(name: str) -> type[Event] | None:
    """Return the event that is published under a type, or whose schema has that file name."""
    of_file = {frozen.file_name(event.type): event for event in EVENTS}
    try:
        return of_file.get(name) or by_type(name)
    except KeyError:
        return None


def _report(complaints: list[str], remedy: str) -> int:
    if not complaints:
        return 0
    sys.stderr.write("\n".join([*complaints, remedy]) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
