from chassis.erasure import ErasureParticipation
from chassis.testing.contract import assert_consumes_its_topology, assert_examples_act_once
from consent.consumers import consumers
from consent.use_cases.erase_person import ConsentHoldings
from contracts.consent import ConsentErasureReported


async def test_every_golden_example_acts_once(service) -> None:
    participation = ErasureParticipation(
        service.database, ConsentHoldings(service.database), reported=ConsentErasureReported
    )
    wired = consumers(participation)
    assert_consumes_its_topology("consent", wired)
    await assert_examples_act_once(service.database, wired)
