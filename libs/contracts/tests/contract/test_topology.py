import re
from collections import Counter

import pytest

from contracts import topology
from contracts.catalogue import by_type, types_of
from contracts.topology import SERVICES, SUBSCRIPTIONS

LATER = tuple(f"{service}.later" for service in topology.SERVICES)

every_queue = pytest.mark.parametrize("entry", SUBSCRIPTIONS, ids=lambda entry: entry.queue)


@every_queue
def test_a_queue_receives_only_types_that_somebody_publishes(entry):
    assert entry.types
    assert all(by_type(event_type) for event_type in entry.types)


@every_queue
def test_a_queue_belongs_to_a_service_and_carries_its_name(entry):
    assert entry.service in SERVICES
    assert re.fullmatch(rf"{entry.service}\.[a-z]+(-[a-z]+)*", entry.queue)


def test_no_queue_is_declared_twice():
    names = [queue.name for queue in topology.queues()]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_queue_its_dead_letters_and_what_waits_are_quorum_queues():
    assert {queue.name for queue in topology.queues()} == {
        *(name for entry in SUBSCRIPTIONS for name in (entry.queue, f"{entry.queue}.dead")),
        *LATER,
    }
    assert all(queue.arguments == {"x-queue-type": "quorum"} for queue in topology.queues())


def test_every_subscribed_type_and_every_dead_letter_is_bound():
    bound = {(it.exchange, it.routing_key, it.queue) for it in topology.bindings()}
    assert bound == {
        *(
            ("irisvue.events", event_type, entry.queue)
            for entry in SUBSCRIPTIONS
            for event_type in entry.types
        ),
        *(("irisvue.dead", entry.queue, f"{entry.queue}.dead") for entry in SUBSCRIPTIONS),
        *(("irisvue.later", f"{queue.split('.')[0]}.#", queue) for queue in LATER),
    }
    assert {it.exchange for it in topology.bindings()} == {it.name for it in topology.exchanges()}


@every_queue
def test_a_queue_has_exactly_one_policy_which_loses_nothing(entry):
    (policy,) = (it for it in topology.policies() if re.search(it.pattern, entry.queue))
    assert policy.name == entry.queue
    assert policy.definition == {
        "delivery-limit": 50,
        "dead-letter-exchange": "irisvue.dead",
        "dead-letter-routing-key": entry.queue,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length-bytes": 268435456,
    }


@every_queue
def test_dead_letters_stay_for_thirty_days_and_within_bounds(entry):
    dead = topology.dead_letter_queue(entry.queue)
    (policy,) = (it for it in topology.policies() if re.search(it.pattern, dead))
    assert policy.definition == {
        "delivery-limit": 1_000_000,
        "message-ttl": 2_592_000_000,
        "max-length-bytes": 67_108_864,
        "overflow": "drop-head",
    }


@pytest.mark.parametrize("queue", LATER)
def test_what_waits_goes_back_to_its_queue_after_ten_seconds_and_is_not_lost(queue):
    (policy,) = (it for it in topology.policies() if re.search(it.pattern, queue))
    assert policy.definition == {
        "message-ttl": 10_000,
        "dead-letter-exchange": "",
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length-bytes": 268435456,
    }


def test_every_service_that_must_erase_is_told():
    assert topology.erasure_participants() == topology.SERVICES
    assert set(topology.SERVICES) >= {"identity", "consent", "storage"}


def test_a_report_and_an_announcement_of_every_participant_reach_identity():
    for service in topology.erasure_participants():
        assert topology.consumers_of(f"{service}.erasure.reported.v1") == (
            "identity.collect-erasure-reports",
        )
        assert topology.consumers_of(f"{service}.participant.joined.v1") == (
            "identity.register-participants",
            "storage.register-contributors",
        )


def test_it_is_known_which_types_nobody_hears():
    assert topology.has_queue("identity.user.deleted.v1")
    assert not topology.has_queue("storage.photo.admired.v1")


def test_a_subscription_is_found_by_its_queue():
    assert topology.subscription("storage.open-keys").types == ("identity.user.registered.v1",)
    with pytest.raises(KeyError, match="SUBSCRIPTIONS"):
        topology.subscription("storage.close-keys")


def test_the_queues_of_a_service_are_found_by_its_name():
    assert [entry.queue for entry in topology.subscriptions_of("consent")] == [
        "consent.erase-user",
        "consent.anchor-certificates",
        "consent.contribute-export",
        "consent.end-biometrics",
        "consent.record-activity",
    ]
    assert topology.subscriptions_of("gateway") == ()


def test_who_is_retired_has_neither_a_queue_nor_rights():
    assert not {queue.name for queue in topology.queues()} & set(topology.RETIRED_QUEUES)
    assert not set(SERVICES) & set(topology.RETIRED_USERS)
    assert all(topology.may_be_unroutable(event_type) for event_type in topology.RETIRED_QUEUES.values())
    assert not topology.may_be_unroutable("identity.user.deleted.v1")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_all_of_its_queues_and_no_other(service):
    readable = {
        queue.name for queue in topology.queues() if re.search(topology.permissions(service).read, queue.name)
    }
    own = {entry.queue for entry in topology.subscriptions_of(service)}
    waiting = {name for name in LATER if name == topology.later_queue(service)}
    assert readable == own | {topology.dead_letter_queue(queue) for queue in own} | waiting


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_publish_all_of_its_types_and_no_other(service):
    rules = {rule.exchange: rule for rule in topology.topic_permissions(service)}
    assert rules.keys() == {"irisvue.events", "irisvue.later"}
    types = {event_type for each in SERVICES for event_type in types_of(each)}
    assert {it for it in types if re.search(rules["irisvue.events"].write, it)} == set(types_of(service))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_put_off_messages_of_its_own_queues_and_of_no_other(service):
    rules = {rule.exchange: rule for rule in topology.topic_permissions(service)}
    allowed = {it.queue for it in SUBSCRIPTIONS if re.search(rules["irisvue.later"].write, it.queue)}
    own = {it.queue for it in topology.subscriptions_of(service)}
    assert allowed == own


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_can_declare_anything_or_write_past_the_exchanges(service):
    rights = topology.permissions(service)
    names = [
        "irisvue.events",
        "irisvue.dead",
        "irisvue.later",
        "amq.default",
        *(queue.name for queue in topology.queues()),
    ]
    assert not any(re.search(rights.configure, name) for name in names)
    writable = [name for name in names if re.search(rights.write, name)]
    assert writable == ["irisvue.events", "irisvue.later"]


def test_an_unknown_service_has_no_rights():
    with pytest.raises(KeyError, match="SERVICES"):
        topology.permissions("billing")
    with pytest.raises(KeyError, match="SERVICES"):
        topology.topic_permissions("billing")
