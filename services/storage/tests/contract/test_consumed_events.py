"""Every golden example of every event that storage consumes goes through the real consumer, twice."""

from chassis.erasure import ErasureParticipation
from chassis.testing.contract import assert_consumes_its_topology, assert_examples_act_once
from storage.consumers import consumers
from storage.wiring import Service


async def test_every_golden_example_acts_once(service: Service, participation: ErasureParticipation) -> None:
    wired = consumers(service, participation)
    assert_consumes_its_topology("storage", wired)
    await assert_examples_act_once(service.database, wired)
