from datetime import timedelta

from chassis.erasure import ErasureParticipation
from chassis.testing.contract import assert_consumes_its_topology, assert_examples_act_once
from contracts.identity import IdentityErasureReported
from identity.consumers import consumers
from identity.use_cases.erase_person import IdentityHoldings


async def test_every_golden_example_acts_once(service):
    participation = ErasureParticipation(
        service.database,
        IdentityHoldings(service.database, farewell=timedelta(0)),
        reported=IdentityErasureReported,
    )
    wired = consumers(service, participation)
    assert_consumes_its_topology("identity", wired)
    await assert_examples_act_once(service.database, wired)
