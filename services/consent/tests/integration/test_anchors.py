"""K35, E-09: whoever has a certificate of erasure shows that its digest stands in the log."""

import hashlib
import json

import pytest

from chassis.consumer import Inbound, Outcome
from chassis.ids import new_id
from consent.main import CONSENT
from consent.transparency.anchors import verify_anchor
from consent.transparency.leaf_proof import UnprovenLeaf
from consent.use_cases.seal_log import seal_log
from contracts.envelope import wrap
from contracts.identity import ErasureCompleted, ErasurePartial, PartialErasure, ParticipantErasure

CERTIFICATE = "header.claims.signature"
DIGEST = hashlib.sha256(CERTIFICATE.encode()).hexdigest()
ANCHORS = "/api/v1/privacy/ledger/anchors"


@pytest.fixture
async def anchored(service):
    """Let consent hear of a completed erasure."""
    now = service.clock.now()
    done = ParticipantErasure(service="storage", completed_at=now, erased={})
    event = ErasureCompleted(
        erasure_id=new_id(),
        requested_at=now,
        completed_at=now,
        participants=(done,),
        certificate_digest=DIGEST,
    )
    body = wrap(event, event_id=new_id(), time=now).to_json()
    consumers = CONSENT.create_worker(service).work.consumers
    (hears,) = (it for it in consumers if ErasureCompleted in it.handlers)
    assert await Inbound(service.database, hears).process(body) is Outcome.DONE


async def seal(service) -> None:
    await seal_log(service.database, keys=service.log_keys, clock=service.clock)


def keys(service) -> str:
    return json.dumps({"keys": service.log_keys.published})


async def test_digest_that_nobody_has_kept_is_not_there(client, anchored) -> None:
    assert (await client.get(f"{ANCHORS}/{'0' * 64}")).status_code == 404
    assert (await client.get(f"{ANCHORS}/nonsense")).status_code == 422


async def test_digest_is_asked_for_again_until_it_is_sealed(client, service, anchored) -> None:
    waiting = await client.get(f"{ANCHORS}/{DIGEST}")
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (202, "2")
    await seal(service)
    assert (await client.get(f"{ANCHORS}/{DIGEST}")).status_code == 200


async def test_proof_shows_the_certificate_in_the_log(client, service, person, anchored) -> None:
    for _ in range(5):
        await person().agree()
    await seal(service)
    proof = (await client.get(f"{ANCHORS}/{DIGEST}")).text
    anchor = verify_anchor(CERTIFICATE, proof, keys(service))
    assert (anchor.kind, anchor.checkpoint.size) == ("erasure-certificate", 6)
    with pytest.raises(UnprovenLeaf, match="another document"):
        verify_anchor(CERTIFICATE + "A", proof, keys(service))
    said = json.loads(proof)
    changes = (("leaf_index", said["leaf_index"] + 1), ("proof", []), ("proof", ["?"]), ("origin", "x"))
    for name, value in changes:
        with pytest.raises(UnprovenLeaf):
            verify_anchor(CERTIFICATE, json.dumps(said | {name: value}), keys(service))
    for nonsense in ("", "[]", "{}", json.dumps(said | {"leaf": "{}"})):
        with pytest.raises(UnprovenLeaf, match="no proof"):
            verify_anchor(CERTIFICATE, nonsense, keys(service))


async def test_certificate_of_a_partial_erasure_is_kept_as_well(client, service) -> None:
    now = service.clock.now()
    kept = PartialErasure(service="storage", completed_at=now, erased={}, held={"photos": 1})
    event = ErasurePartial(
        erasure_id=new_id(),
        requested_at=now,
        partial_at=now,
        participants=(kept,),
        certificate_digest=DIGEST,
    )
    consumers = CONSENT.create_worker(service).work.consumers
    (hears,) = (it for it in consumers if ErasurePartial in it.handlers)
    body = wrap(event, event_id=new_id(), time=now).to_json()
    assert await Inbound(service.database, hears).process(body) is Outcome.DONE
    await seal(service)
    assert (await client.get(f"{ANCHORS}/{DIGEST}")).status_code == 200
