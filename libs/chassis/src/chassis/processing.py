"""The maps of several services as one, and the record of processing activities that follows from it.

It knows no database: a process without one has places, too.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose

Document = dict[str, Any]
_LOGGED = About(
    data_class=DataClass.NOBODY,
    purpose=Purpose.OPERATION,
    retention="until the file has grown to its bound twice or thrice",
)


def log_of(process: str) -> Place:
    """Return the log stream of one of our processes."""
    return Place(
        kind=PlaceKind.LOG,
        name=process,
        holds="what a process did, with ids of events, requests and erasures",
        on_erase="retain: no line names a person, an address or content",
        about=_LOGGED,
    )


def document_of(place: Place, about: About) -> Document:
    """Return a place as JSON."""
    return {
        "kind": place.kind,
        "name": place.name,
        "holds": place.holds,
        "held_as": place.held_as,
        **asdict(about),
        "on_erase": place.on_erase,
    }


def map_of(service: str, places: Sequence[Place]) -> Document:
    """Return the data map of what has no schema; its places say themselves what they are about."""
    own = [document_of(place, place.about) for place in places if place.about is not None]
    return {"service": service, "holdings": [], "columns": [], "places": own}


def processing(maps: Sequence[Document]) -> list[Document]:
    """Return the record of processing activities (GDPR Art. 30(1)) of several maps, one entry a purpose.

    Each names the categories of data, how long they are kept and where, and who else gets some.
    """
    found = []
    for purpose in Purpose:
        entries = [
            (document["service"], entry)
            for document in maps
            for entry in (*document["columns"], *document["places"])
            if entry["purpose"] == purpose and entry["data_class"] != DataClass.NOBODY
        ]
        recipients = (entry["name"] for _, entry in entries if entry.get("kind") == PlaceKind.RECIPIENT)
        found.append(
            {
                "purpose": purpose,
                "data_subjects": ["people who have, had or were given an account"],
                "data_classes": sorted({entry["data_class"] for _, entry in entries}),
                "retention": sorted({entry["retention"] for _, entry in entries}),
                "services": sorted({service for service, _ in entries}),
                "recipients": sorted(set(recipients)),
            }
        )
    return [entry for entry in found if entry["services"]]


def merged(maps: Sequence[Document]) -> Document:
    """Return several services' maps as one document, with the record of processing activities."""
    return {"processing": processing(maps), "services": list(maps)}
