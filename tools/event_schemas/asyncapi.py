"""The events as an AsyncAPI 3.0 document, written from the models, the topology and the golden examples."""

import json
from pathlib import Path
from typing import Any

from contracts import topology
from contracts.catalogue import EVENTS, by_type, produced_by
from contracts.envelope import CONTENT_TYPE, EVERY_SERVICE, Event
from event_schemas.frozen import LIBRARY, examples_of, schema_of

FILE = Path("src/contracts/asyncapi.json")

Document = dict[str, Any]

_DESCRIPTION = (
    "What the services tell one another, as CloudEvents 1.0 over a topic exchange; the routing key is the "
    "type of the event. No event carries personal data. Each consumer acts once on each `id`; order is not "
    "promised, and an `epoch` in the data says what is newer."
)


def path(library: Path = LIBRARY) -> Path:
    """Name the committed file in the checkout that the library is part of."""
    return library / FILE


def text() -> str:
    """Write the document anew."""
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "IrisVue events",
            "version": "1.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "Proprietary"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {event.type: _channel(event) for event in EVENTS},
        "operations": _operations(),
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _channel(event: type[Event]) -> Document:
    exchange = {"name": topology.EXCHANGE, "type": "topic", "durable": True}
    return {
        "address": event.type.replace(EVERY_SERVICE, "{service}"),
        **({"parameters": {"service": {}}} if EVERY_SERVICE in event.type else {}),
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}},
    }


def _operations() -> Document:
    sent = {
        f"{service}.publishes.{event.type}": {
            "action": "send",
            "description": f"{service} publishes {event.type.replace(EVERY_SERVICE, service)}.",
            "channel": {"$ref": f"#/channels/{event.type}"},
        }
        for service in topology.SERVICES
        for event in produced_by(service)
    }
    heard = {
        f"{subscription.queue}.{heard_type}": {
            "action": "receive",
            "description": f"{subscription.service} hears {heard_type} from its queue {subscription.queue}.",
            "channel": {"$ref": f"#/channels/{heard_type}"},
        }
        for subscription in topology.SUBSCRIPTIONS
        for heard_type in (by_type(name).type for name in subscription.types)
    }
    return {**sent, **heard}


def _message(event: type[Event]) -> Document:
    schema = schema_of(event)
    definitions = schema.pop("$defs")
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": schema.get("description", ""),
        "contentType": CONTENT_TYPE,
        "payload": _inlined(schema, definitions),
        "examples": [
            {"name": example.name, "payload": json.loads(example.body)} for example in examples_of(event.type)
        ],
    }


def _inlined(node: Any, definitions: Document) -> Any:
    """Return `node` with its references replaced: they count from its own beginning, not the document's."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items() if key not in ("$id", "$schema")}
