"""The CloudEvents 1.0 envelope around every event, and the base class of the events.

Invariant: what `wrap` makes, `parse` reads back equal, and neither ever puts a received value into an error.
"""

import builtins
import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast, get_args
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from contracts.fields import EventId, Kind, Timestamp

CONTENT_TYPE = "application/cloudevents+json"
TYPE_PATTERN = "^[a-z]+[.][a-z]+[.][a-z]+[.]v[1-9][0-9]*$"
EVERY_SERVICE = "*"
"""Stands for the service in the type of an event that each service publishes under a type of its own."""
_DECLARED: set[str] = set()
_TRACEPARENT_PATTERN = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


class InvalidEvent(ValueError):
    """A body is not the event it should be; the message names places and rules, never a received value."""


class Payload(BaseModel):
    """A part of an event: frozen, strict about types, tolerant of fields it does not know yet."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


def subject_of(user_id: UUID | str) -> str:
    """Return the subject of every event that is about a person."""
    return f"users/{user_id}"


class Event(Payload):
    """Base of the payloads. A subclass names its type once: `class X(Event, type="identity.x.done.v1")`.

    Its docstring is the sentence that the catalogue prints. A subclass without a type is a shared base.
    A deprecated one can still be read, because old messages may lie in a queue, and is published by nobody.
    """

    type: ClassVar[str]
    producer: ClassVar[str]
    deprecated: ClassVar[bool] = False

    def __init_subclass__(cls, *, type: str | None = None, deprecated: bool = False, **config: Any) -> None:  # noqa: A002
        super().__init_subclass__(**config)
        if type is None:
            return
        if not re.fullmatch(TYPE_PATTERN, type.replace(f"{EVERY_SERVICE}.", "any.", 1)):
            raise TypeError(
                f"{cls.__name__}: an event type reads <service>.<subject>.<past-tense>.v<N>, not {type!r}"
            )
        cls.type = type
        cls.producer = type.split(".")[0]
        cls.deprecated = deprecated
        _DECLARED.add(type)

    @classmethod
    def __pydantic_init_subclass__(cls, *, type: str | None = None, **_config: Any) -> None:  # noqa: A002
        if type is not None and cls.subject is Event.subject and "user_id" not in cls.model_fields:
            raise TypeError(
                f"{cls.__name__} has no user_id: override `subject` to say what the event is about"
            )

    @classmethod
    def of_type(cls, event_type: str) -> builtins.type[Self] | None:
        """Return the event that travels under that type; None when this one does not."""
        return cls if event_type == cls.type else None

    @property
    def subject(self) -> str:
        """What the event is about, `<plural>/<id>`."""
        return subject_of(vars(self)["user_id"])


def is_declared(event_type: str) -> bool:
    """Tell whether this process knows a type: that of an event whose class it has imported."""
    return event_type in _DECLARED


def schema_urn(event_type: str) -> str:
    """Return the stable name of a type's JSON Schema; a name and not an address, so it never goes away."""
    return f"urn:irisvue:schema:{event_type}"


def _well_formed_or_none(value: object) -> object:
    # W3C Trace Context: a receiver ignores a header it can't parse. A broken trace must not park an erasure.
    return value if isinstance(value, str) and re.fullmatch(_TRACEPARENT_PATTERN, value) else None


EventType = Annotated[str, Field(pattern=TYPE_PATTERN), Kind.CODE]
Subject = Annotated[str, Field(pattern="^[a-z]+(/[a-z0-9-]{1,64})?$"), Kind.ID]
TraceParent = Annotated[
    Annotated[str, Field(pattern=_TRACEPARENT_PATTERN), Kind.ID] | None, BeforeValidator(_well_formed_or_none)
]

E = TypeVar("E", bound=Event)


class Head(Payload):
    """What can be known of any envelope without knowing its payload."""

    id: EventId
    type: EventType
    subject: Subject
    time: Timestamp
    traceparent: TraceParent = None


class Envelope(Head, Generic[E]):
    """CloudEvents 1.0, structured mode; `id` is the key of every idempotency check. Made by `wrap`."""

    specversion: Literal["1.0"]
    source: Annotated[str, Field(pattern="^/[a-z]{1,32}$"), Kind.CODE]
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(pattern="^urn:irisvue:schema:[a-z.0-9]+$"), Kind.CODE]
    data: E

    def to_json(self) -> bytes:
        """Return the message body: UTF-8 JSON. An absent trace is left out, as CloudEvents asks."""
        absent = {"traceparent"} if self.traceparent is None else None
        return self.model_dump_json(exclude=absent).encode()


@cache
def envelope_of(event_class: type[E]) -> type[Envelope[E]]:
    """Return the envelope model of that event, which allows only its own type, source and schema."""
    fixed = {
        "type": _exactly(event_class.type),
        "source": _exactly(f"/{event_class.producer}"),
        "dataschema": _exactly(schema_urn(event_class.type)),
    }
    base = cast("type[Envelope[E]]", Envelope.__class_getitem__(event_class))
    return create_model(
        f"{event_class.__name__}Envelope", __base__=base, __doc__=event_class.__doc__, **fixed
    )


def _exactly(value: str) -> Any:
    if EVERY_SERVICE not in value:
        return Literal.__getitem__(value)
    pattern = re.escape(value).replace(re.escape(EVERY_SERVICE), "[a-z]{1,32}").replace("\\.", "[.]")
    return Annotated[str, Field(pattern=f"^{pattern}$"), Kind.CODE]


def wrap(event: E, *, event_id: UUID, time: datetime, traceparent: str | None = None) -> Envelope[E]:
    """Put the event into its envelope; `time` is when the change was made and must know its time zone."""
    return envelope_of(type(event))(
        id=event_id,
        type=event.type,
        subject=event.subject,
        time=time,
        traceparent=traceparent,
        specversion="1.0",
        source=f"/{event.producer}",
        dataschema=schema_urn(event.type),
        data=event,
    )


def parse(body: bytes, event_class: type[E]) -> Envelope[E]:
    """Read a message body as that event; raises InvalidEvent."""
    if event_class.producer == EVERY_SERVICE:
        # Type, source, schema and payload must name one service: that of the type.
        event_class = event_class.of_type(parse_head(body).type) or event_class
    return _validated(body, envelope_of(event_class), event_class.type)


def parse_head(body: bytes) -> Head:
    """Read the attributes that every event has, whatever its payload; raises InvalidEvent."""
    return _validated(body, Head, "event")


M = TypeVar("M", bound=BaseModel)


def _validated(body: bytes, model: type[M], name: str) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        refusal = InvalidEvent(f"{name}: {_complaints(error, known=field_names(model))}")
    # Raised outside the except block: a chained error would carry the received values into the log.
    raise refusal


def _complaints(error: ValidationError, *, known: frozenset[str]) -> str:
    # A key of a received mapping is input too, so only declared names and positions are repeated.
    complaints = (
        (
            ".".join(str(part) if isinstance(part, int) or part in known else "*" for part in item["loc"]),
            item["type"],
        )
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    )
    return "; ".join(f"{place or 'body'}: {rule}" for place, rule in complaints)


@cache
def field_names(model: type[BaseModel]) -> frozenset[str]:
    """Every field name that the model or a model inside it declares."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for part in _models_in(field.annotation):
            names |= field_names(part)
    return frozenset(names)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
