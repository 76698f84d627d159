"""The page docs/events.md, written from the models, the topology and the golden examples."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType
from typing import get_args

from contracts import topology
from contracts.catalogue import EVENTS
from contracts.envelope import CONTENT_TYPE, Envelope, Event
from event_schemas.frozen import LIBRARY, examples_of, file_name
from event_schemas.privacy import Leaf, leaves

PAGE = Path("docs/events.md")

_INTRODUCTION = f"""# Events

This page is written by `make schemas` from libs/contracts; a test fails when the two differ.

What one service wants others to know travels as a CloudEvents 1.0 message (`{CONTENT_TYPE}`)
over the topic exchange `{topology.EXCHANGE}`; the routing key is the type of the event. No event carries
personal data: a test walks every model and lets only ids, times, counts, versions, codes, digests and closed
lists of values pass.

- An event is written to the outbox of its service in the transaction of the change that it tells of.
- Every consumer has a queue of its own and records each handled `id` together with the effect: delivered
  twice, an event acts once.
- Order is not promised. Where it matters the data carries an `epoch`, and readers ignore what is not higher.
- A schema changes only by added optional fields. Anything else is a new `.v2`, published beside the old type
  until no queue reads the old one."""

_ONE_MESSAGE = "identity.user.deleted.v1"


def page() -> str:
    """Write the whole page."""
    sections = [_INTRODUCTION, _catalogue(), _envelope(), *map(_event, EVENTS), _queues(), _rights()]
    return "\n\n".join(sections) + "\n"


def page_path(library: Path = LIBRARY) -> Path:
    """Name the file of the page in the checkout that the library is part of."""
    return library.parents[1] / PAGE


def _catalogue() -> str:
    rows = (
        (
            f"[{event.type}](#{_anchor(event.type)})",
            _sentence(event),
            _code(topology.consumers_of(event.type)),
        )
        for event in EVENTS
    )
    return "## All events\n\n" + _table(("type", "meaning", "heard by"), rows)


def _envelope() -> str:
    rows = ((f"`{leaf.path}`", _kind(leaf)) for leaf in leaves(Envelope) if leaf.path != "data")
    message = examples_of(_ONE_MESSAGE)[0].body.decode().strip()
    return (
        "## The envelope\n\n"
        + _table(("attribute", "kind"), [*rows, ("`data`", "what the event says, below")])
        + "\n\n`id` (UUIDv7) is the key of every idempotency check; `subject` is what the event is about."
        + " The AMQP properties repeat `message_id`, `type`,"
        + " `timestamp` and `app_id`; `traceparent` is a header too. One message, whole:\n\n"
        + f"```json\n{message}\n```"
    )


def _event(event: type[Event]) -> str:
    rows = ((f"`{leaf.path}`", _kind(leaf), _notes(event, leaf)) for leaf in leaves(event))
    folder, name = "../libs/contracts", file_name(event.type)
    examples = ", ".join(
        f"[{it.name}]({folder}/examples/{name}/{it.name}.json)" for it in examples_of(event.type)
    )
    heard = _code(topology.consumers_of(event.type)) or "no queue yet"
    return "\n\n".join(
        (
            f"## {event.type}",
            _sentence(event),
            _table(("data", "kind", ""), rows),
            f"Heard by {heard}. [Schema]({folder}/schemas/{name}.json); examples: {examples}.",
        )
    )


def _queues() -> str:
    rows = (
        (
            f"`{entry.queue}`",
            entry.service,
            _code(entry.types),
            f"`{topology.dead_letter_queue(entry.queue)}`",
        )
        for entry in topology.SUBSCRIPTIONS
    )
    return (
        "## Queues\n\n"
        + _table(("queue", "read by", "receives", "dead letters"), rows)
        + "\n\nAll are quorum queues. A message that is delivered too often goes through"
        + f" `{topology.DEAD_LETTER_EXCHANGE}` to the dead letters of its queue and waits for an operator."
        + " One of a type that its service does not know yet, as during an upgrade, goes through"
        + f" `{topology.LATER_EXCHANGE}` to `<service>.later` and comes back after a moment."
    )


def _rights() -> str:
    rows = (
        (
            service,
            f"`{topology.topic_permissions(service)[0].write}`",
            f"`{topology.permissions(service).read}`",
        )
        for service in topology.SERVICES
    )
    return (
        "## Rights at the broker\n\n"
        + _table(("service", "may publish types", "may read queues"), rows)
        + "\n\nNo service may declare anything: the bootstrap job replays `contracts.topology`."
        + " `^$` stands for nothing."
    )


def _sentence(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split())


def _kind(leaf: Leaf) -> str:
    return _code(leaf.choices) if leaf.choices else leaf.kind.value if leaf.kind else ""


def _notes(event: type[Event], leaf: Leaf) -> str:
    field = event.model_fields.get(leaf.path)
    if field is None:
        return ""
    absent = "May be null." if NoneType in get_args(field.annotation) else ""
    optional = "" if field.is_required() else "Optional."
    return " ".join(filter(None, (field.description, absent, optional)))


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _anchor(heading: str) -> str:
    return heading.replace(".", "").replace("*", "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_lines(head, rows))


def _lines(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
