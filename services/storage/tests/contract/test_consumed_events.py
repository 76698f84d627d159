"""Every golden example of every event that storage consumes goes through the real consumer, twice."""

from storage.main import STORAGE
from storage.wiring import Service
from support.contract import assert_consumes_its_topology, assert_examples_act_once


async def test_every_golden_example_acts_once(service: Service) -> None:
    wired = STORAGE.create_worker(service).work.consumers
    assert_consumes_its_topology("storage", wired)
    await assert_examples_act_once(service.database, wired)
