from consent.main import CONSENT
from support.contract import assert_consumes_its_topology, assert_examples_act_once
from support.exports import assembling


async def test_every_golden_example_acts_once(service) -> None:
    wired = CONSENT.create_worker(service).work.consumers
    assert_consumes_its_topology("consent", wired)
    async with assembling(service.storage):
        await assert_examples_act_once(service.database, wired)
