"""Every golden example of every event that this service consumes goes through its real consumer, twice."""

from sample.main import SAMPLE
from support.contract import assert_consumes_its_topology, assert_examples_act_once
from support.exports import assembling


async def test_golden_examples_act_once(service) -> None:
    consumers = SAMPLE.create_worker(service).work.consumers
    assert_consumes_its_topology("sample", consumers)
    async with assembling(service.storage):
        await assert_examples_act_once(service.database, consumers)
