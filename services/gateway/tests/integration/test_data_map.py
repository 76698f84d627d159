"""K20: an officer asks one door what is held of people, where, why and for how long; nobody else is told."""

from typing import Any

import pytest
from aiohttp import web

from chassis.ids import new_id
from gateway.routes import Upstream

PATH = "/api/v1/operations/data-map"
MAP = "/internal/data-map"


@pytest.fixture
def of_services(stage: Any) -> Any:
    for neighbour in stage.neighbours:
        document = {"service": neighbour.name, "holdings": [], "columns": [], "places": []}
        neighbour.answers("GET", MAP, document)
    return stage


async def asked(stage: Any, user_id: Any) -> tuple[int, Any]:
    async with stage.client.get(PATH, headers=stage.mint.bearer(user_id)) as answer:
        assert answer.status != 200 or answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def test_k20_officer_gets_the_maps_of_all_services_and_of_the_servers(of_services: Any) -> None:
    officer = new_id()
    of_services.identity.answers("GET", f"/internal/officers/{officer}", {"officer": True})

    status, document = await asked(of_services, officer)

    assert status == 200
    assert [part["service"] for part in document["services"]] == [*Upstream, "gateway", "servers"]
    assert {place["kind"] for part in document["services"] for place in part["places"]} >= {
        "redis key",
        "mailbox",
    }
    assert document["processing"]
    assert of_services.storage.asked[-1].headers["Authorization"].startswith("Bearer ")


async def test_k20_who_is_no_officer_is_refused_and_no_service_is_asked(of_services: Any) -> None:
    person = new_id()
    of_services.identity.answers("GET", f"/internal/officers/{person}", {}, 404)

    assert (await asked(of_services, person))[0] == 403
    assert [request.path for request in of_services.storage.asked] == []
    async with of_services.client.get(PATH) as answer:
        assert answer.status == 401


async def test_k20_half_a_map_is_no_answer(of_services: Any) -> None:
    officer = new_id()
    of_services.identity.answers("GET", f"/internal/officers/{officer}", {"officer": True})

    async def away(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    of_services.storage.on("GET", MAP, away)
    assert (await asked(of_services, officer))[0] == 503
