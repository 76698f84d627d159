"""What the gateway holds of people, the servers beneath the services, and the whole map for an officer."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from chassis.data_map_routes import PATH
from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from chassis.http import NeighbourRefused, NeighbourUnavailable, ServiceClient
from chassis.problems import Forbidden, ServiceUnavailable
from chassis.processing import log_of, map_of, merged
from gateway.admission_control import AdmissionControl
from gateway.limits import COUNTS
from gateway.routes import Access, RateClass, Route, Upstream

OFFICERS_PATH = "/api/v1/operations/data-map"
_ROUTE = Route("GET", OFFICERS_PATH, Upstream.IDENTITY, Access.BEARER, RateClass.USER)
_ENDED = About(
    data_class=DataClass.PSEUDONYM, purpose=Purpose.SECURITY, retention="until their tokens have expired"
)
_SERVED = About(
    data_class=DataClass.NOBODY, purpose=Purpose.OPERATION, retention="until the file has grown to its bound"
)

GATEWAY = map_of(
    "gateway",
    places=(
        COUNTS,
        log_of("gateway"),
        Place(
            kind=PlaceKind.MEMORY,
            name="gateway/ended-sessions",
            holds="ids of sessions and accounts whose tokens are refused, verified tokens, open requests",
            on_erase="empties itself: an id is forgotten when its last token has expired",
            about=_ENDED,
        ),
    ),
)


def _server_log(name: str, holds: str) -> Place:
    return Place(
        kind=PlaceKind.LOG,
        name=name,
        holds=holds,
        on_erase="retain: what services give the servers to log names nobody",
        about=_SERVED,
    )


SERVERS = map_of(
    "servers",
    places=(
        _server_log("postgres", "faults and slow starts; no statement with its values"),
        _server_log("rabbitmq", "connections and queues"),
        _server_log("redis", "starts, saves and connections"),
        _server_log("s3", "faults of the store, with names of folders: a keyed hash and the id of a photo"),
        Place(
            kind=PlaceKind.FILE,
            name="postgres/write-ahead-log",
            holds="every change of every row, until the server has written it to its place",
            on_erase="empties itself: the server recycles it after checkpoints; no archive of it is kept",
            about=About(
                data_class=DataClass.ACCOUNT, purpose=Purpose.OPERATION, retention="hours, as the load has it"
            ),
        ),
        Place(
            kind=PlaceKind.FILE,
            name="postgres/samples-of-the-planner",
            holds="some hundred values of each column, ids and addresses among them",
            on_erase="empties itself: the server takes new samples when a tenth of a table has changed",
            about=About(
                data_class=DataClass.ACCOUNT, purpose=Purpose.OPERATION, retention="until the next ANALYZE"
            ),
        ),
        Place(
            kind=PlaceKind.FILE,
            name="redis/append-only-file",
            holds="the counts of the limits",
            on_erase="empties itself: Redis writes it anew as it grows",
            about=About(
                data_class=DataClass.PSEUDONYM, purpose=Purpose.SECURITY, retention="until it is written anew"
            ),
        ),
        Place(
            kind=PlaceKind.MAILBOX,
            name="mail",
            holds="what identity has sent; in development only, where no mail leaves the machine",
            on_erase="retain: it stands for the mailboxes of the recipients, whose mails are theirs",
            about=About(
                data_class=DataClass.CONTACT, purpose=Purpose.NOTICES, retention="until `make reset`"
            ),
        ),
    ),
)


class WholeDataMap:
    """The maps of all services as they run now, beside the gateway's and the servers'."""

    def __init__(self, services: Mapping[str, ServiceClient]) -> None:
        """`services` answer their own map; identity is one of them and knows who is an officer."""
        self._services = services

    async def for_officer(self, user_id: str) -> dict[str, Any]:
        """Return the whole map; raises `Forbidden`, or `ServiceUnavailable` where a part is missing."""
        try:
            await self._services["identity"].get(f"/internal/officers/{user_id}")
        except NeighbourRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                raise Forbidden from None
            raise ServiceUnavailable from None
        except NeighbourUnavailable:
            raise ServiceUnavailable from None
        try:
            asked = [client.get(PATH) for client in self._services.values()]
            found = await asyncio.gather(*asked)
        except (NeighbourUnavailable, NeighbourRefused):
            # Half an answer to "where is it" would be taken for the whole.
            raise ServiceUnavailable from None
        return merged([*found, GATEWAY, SERVERS])


def data_map_route(whole: WholeDataMap, admission: AdmissionControl) -> APIRouter:
    """Return the route that answers an officer what is held of people, where, why and for how long."""
    router = APIRouter(include_in_schema=False)

    @router.get(OFFICERS_PATH)
    async def data_map(request: Request) -> JSONResponse:
        async with admission.admitted(_ROUTE, request.scope) as caller:
            if caller.principal is None:
                raise Forbidden
            document = await whole.for_officer(str(caller.principal.user_id))
        return JSONResponse(document, headers={"Cache-Control": "no-store"})

    return router
