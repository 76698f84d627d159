"""Who hears what: exchanges, queues, bindings, policies and rights at the broker, as data.

Invariant: services declare nothing; the bootstrap job replays what stands here, and a consumer whose queue
is not listed has none. Values and their reasons: a quorum queue that dead-letters at least once must refuse
publishes when full, and the delivery limit is the last net only (consumers count poison themselves).
"""

from dataclasses import dataclass

from contracts.registry import ASSEMBLER, MEMBERS

VHOST = "irisvue"
EXCHANGE = "irisvue.events"
DEAD_LETTER_EXCHANGE = "irisvue.dead"
LATER_EXCHANGE = "irisvue.later"
SERVICES = tuple(name for name, member in MEMBERS.items() if member.has_schema)
"""Who has a user at the broker and hears of deleted people."""

_NOTHING = "^$"
_DELIVERY_LIMIT = 50
_NEVER = 1_000_000
_MAX_QUEUE_BYTES = 256 * 1024 * 1024
_MAX_DEAD_BYTES = 64 * 1024 * 1024
_DEAD_LETTER_DAYS = 30
_DAY_MILLISECONDS = 86_400_000
_LATER_MILLISECONDS = 10_000
_USER_DELETED = "identity.user.deleted.v1"
_EXPORT_REQUESTED = "storage.export.requested.v1"


@dataclass(frozen=True)
class Subscription:
    """One queue: who reads it and which types it receives; a `*` stands for any service, as in a binding."""

    queue: str
    service: str
    types: tuple[str, ...]

    def receives(self, event_type: str) -> bool:
        """Tell whether events of a type arrive in the queue."""
        of_any = f"*.{event_type.partition('.')[2]}"
        return event_type in self.types or of_any in self.types


@dataclass(frozen=True)
class Exchange:
    """A durable exchange; `kind` is the AMQP exchange type."""

    name: str
    kind: str


@dataclass(frozen=True)
class Queue:
    """A durable queue and the arguments it is declared with."""

    name: str
    arguments: dict[str, str]


@dataclass(frozen=True)
class Binding:
    """What leads from an exchange into a queue."""

    exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True)
class Policy:
    """A broker policy for the queues whose name matches; it can change without declaring a queue anew."""

    name: str
    pattern: str
    definition: dict[str, str | int]
    apply_to: str = "queues"


@dataclass(frozen=True)
class Permissions:
    """Regular expressions of the resources that a broker user may configure, write and read."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True)
class TopicPermission:
    """Regular expressions of the routing keys that a broker user may publish with and bind."""

    exchange: str
    write: str
    read: str


SUBSCRIPTIONS = (
    Subscription(
        "identity.collect-erasure-reports",
        "identity",
        ("*.erasure.reported.v1",),
    ),
    Subscription(
        "identity.register-participants",
        "identity",
        ("*.participant.joined.v1",),
    ),
    *(Subscription(f"{service}.erase-user", service, (_USER_DELETED,)) for service in SERVICES),
    Subscription(
        "consent.anchor-certificates",
        "consent",
        ("identity.erasure.completed.v1", "identity.erasure.partial.v1"),
    ),
    *(
        Subscription(f"{service}.contribute-export", service, (_EXPORT_REQUESTED,))
        for service in SERVICES
        if service != ASSEMBLER
    ),
    Subscription("storage.follow-holds", "storage", ("identity.hold.changed.v1",)),
    Subscription("consent.end-biometrics", "consent", ("identity.user.frozen.v1",)),
    Subscription("consent.record-activity", "consent", ("identity.user.active.v1",)),
    Subscription("storage.register-contributors", "storage", ("*.participant.joined.v1",)),
    Subscription("storage.collect-contributions", "storage", ("*.export.contributed.v1",)),
    Subscription("storage.open-keys", "storage", ("identity.user.registered.v1",)),
    Subscription("storage.release-photos", "storage", ("identity.user.frozen.v1",)),
    Subscription(
        "storage.follow-consent",
        "storage",
        ("consent.consent.granted.v1", "consent.consent.withdrawn.v1", "consent.consent.expired.v1"),
    ),
)


RETIRED_QUEUES = {
    "identity.email": "identity.mail.requested.v1",
    "gateway.deny-sessions": "identity.session.revoked.v1",
}
"""Queues that nobody reads any more, with the type each received; tables of the services do what they did."""
RETIRED_USERS = ("gateway",)
"""Users of the broker that nobody is any more."""


def subscription(queue: str) -> Subscription:
    """Return the subscription of a queue; raises KeyError for one that is not part of the topology."""
    for entry in SUBSCRIPTIONS:
        if entry.queue == queue:
            return entry
    raise KeyError(f"{queue} is no queue of contracts.topology.SUBSCRIPTIONS")


def subscriptions_of(service: str) -> tuple[Subscription, ...]:
    """List the queues that a service reads."""
    return tuple(entry for entry in SUBSCRIPTIONS if entry.service == service)


def consumers_of(event_type: str) -> tuple[str, ...]:
    """List the queues that receive a type."""
    return tuple(entry.queue for entry in SUBSCRIPTIONS if entry.receives(event_type))


def has_queue(event_type: str) -> bool:
    """Tell whether a publish of that type must reach a queue; an unroutable one is an error only then."""
    return bool(consumers_of(event_type))


def may_be_unroutable(event_type: str) -> bool:
    """Tell whether a type's only queue was retired: earlier releases wrote that it must reach one."""
    return event_type in RETIRED_QUEUES.values() and not has_queue(event_type)


def erasure_participants() -> tuple[str, ...]:
    """List the services that erase when a person is deleted."""
    return tuple(entry.service for entry in SUBSCRIPTIONS if _USER_DELETED in entry.types)


def export_contributors() -> tuple[str, ...]:
    """List the services that write a section of every export, but the one that puts it together."""
    return tuple(entry.service for entry in SUBSCRIPTIONS if _EXPORT_REQUESTED in entry.types)


def dead_letter_queue(queue: str) -> str:
    """Name the queue where the messages of a queue end that were delivered too often."""
    return f"{queue}.dead"


def later_queue(service: str) -> str:
    """Name the queue where the messages wait that a service has put off, whichever queue they are of."""
    return f"{service}.later"


def exchanges() -> tuple[Exchange, ...]:
    """List every exchange."""
    # Rights per routing key exist for topic exchanges only: hence no direct one for what waits.
    return (
        Exchange(EXCHANGE, "topic"),
        Exchange(DEAD_LETTER_EXCHANGE, "direct"),
        Exchange(LATER_EXCHANGE, "topic"),
    )


def queues() -> tuple[Queue, ...]:
    """List every queue, each followed by its dead letters, and the queues of what waits."""
    names = [name for entry in SUBSCRIPTIONS for name in (entry.queue, dead_letter_queue(entry.queue))]
    names += [later_queue(service) for service in SERVICES]
    return tuple(Queue(name, {"x-queue-type": "quorum"}) for name in names)


def bindings() -> tuple[Binding, ...]:
    """List every binding, those of the dead letters and of what waits too."""
    live = (Binding(EXCHANGE, entry.queue, key) for entry in SUBSCRIPTIONS for key in entry.types)
    dead = (
        Binding(DEAD_LETTER_EXCHANGE, dead_letter_queue(entry.queue), entry.queue) for entry in SUBSCRIPTIONS
    )
    later = (Binding(LATER_EXCHANGE, later_queue(service), f"{service}.#") for service in SERVICES)
    return (*live, *dead, *later)


def policies() -> tuple[Policy, ...]:
    """List one policy per queue (it names its dead-letter key), one for dead letters, one for what waits."""
    # RabbitMQ 4 gives every quorum queue a delivery limit of 20; a dead letter that an operator looks at
    # twenty times would be dropped. Older brokers refuse -1, so the limit is one that is never reached. A
    # message may name somebody by id, so nothing stays for ever; of too many the oldest go first.
    dead = Policy(
        "dead-letters",
        r"^[a-z]+\.[a-z-]+\.dead$",
        {
            "delivery-limit": _NEVER,
            "message-ttl": _DEAD_LETTER_DAYS * _DAY_MILLISECONDS,
            "max-length-bytes": _MAX_DEAD_BYTES,
            "overflow": "drop-head",
        },
    )
    return (*(_policy_of(entry.queue) for entry in SUBSCRIPTIONS), dead, _later_policy())


def _policy_of(queue: str) -> Policy:
    return Policy(
        name=queue,
        pattern=f"^{_literally(queue)}$",
        definition={
            "delivery-limit": _DELIVERY_LIMIT,
            "dead-letter-exchange": DEAD_LETTER_EXCHANGE,
            "dead-letter-routing-key": queue,
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
            "max-length-bytes": _MAX_QUEUE_BYTES,
        },
    )


def _later_policy() -> Policy:
    # What waits was published under the name of its queue, and keeps it: when its time is over, the default
    # exchange leads it back there.
    return Policy(
        name="later",
        pattern=r"^[a-z]+\.later$",
        definition={
            "message-ttl": _LATER_MILLISECONDS,
            "dead-letter-exchange": "",
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
            "max-length-bytes": _MAX_QUEUE_BYTES,
        },
    )


def permissions(service: str) -> Permissions:
    """Say what a service's broker user may do: publish, read its own queues, declare nothing."""
    return Permissions(
        configure=_NOTHING,
        write=f"^({_literally(EXCHANGE)}|{_literally(LATER_EXCHANGE)})$",
        read=rf"^{_known(service)}\.",
    )


def topic_permissions(service: str) -> tuple[TopicPermission, ...]:
    """Say which routing keys a service's broker user may use: its own, so that none speaks for another.

    They are its own types on the exchange of events, and the names of its own queues on that of what waits.
    """
    own = rf"^{_known(service)}\."
    return tuple(TopicPermission(exchange, own, _NOTHING) for exchange in (EXCHANGE, LATER_EXCHANGE))


def _known(service: str) -> str:
    if service not in SERVICES:
        raise KeyError(f"{service} is no service of contracts.topology.SERVICES")
    return service


def _literally(name: str) -> str:
    return name.replace(".", r"\.")
