"""S-04: whoever asked to be erased has no consent to pictures any more, whatever the grace."""

from datetime import timedelta

from chassis.consumer import Inbound, Outcome
from chassis.ids import new_id
from consent.main import CONSENT
from contracts.envelope import wrap
from contracts.identity import UserFrozen


async def hear(service, user_id) -> None:
    now = service.clock.now()
    event = UserFrozen(user_id=user_id, erasure_id=new_id(), grace_until=now + timedelta(days=1))
    consumers = CONSENT.create_worker(service).work.consumers
    (hears,) = (it for it in consumers if UserFrozen in it.handlers)
    body = wrap(event, event_id=new_id(), time=now).to_json()
    assert await Inbound(service.database, hears).process(body) is Outcome.DONE


async def ends(admin) -> int:
    return await admin.fetchval(
        "SELECT count(*) FROM consent.outbox WHERE type = 'consent.consent.withdrawn.v1'"
    )


async def test_consent_to_pictures_ends_once_and_others_stay(person, service, admin) -> None:
    anna = person()
    await anna.agree()
    await anna.agree("marketing")
    for _ in range(2):
        await hear(service, anna.id)
    assert await ends(admin) == 1
    open_types = await admin.fetch("SELECT consent_type FROM consent.gates WHERE open_until IS NOT NULL")
    assert [row[0] for row in open_types] == ["marketing"]


async def test_who_never_agreed_has_nothing_to_end(person, service, admin) -> None:
    await hear(service, person().id)
    assert await ends(admin) == 0


async def test_who_comes_back_can_agree_again(person, service) -> None:
    anna = person()
    await anna.agree()
    await hear(service, anna.id)
    assert (await anna.agree()).status_code == 201
