"""G-7.1, K35: a receipt says what was agreed to, and a stranger can check it without us."""

import base64
import hashlib
import json
import re
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import jwt
import pytest
from sigstore._internal import merkle as sigstore
from sigstore.errors import VerificationError

from chassis.holdings import Holdings
from chassis.ids import new_id
from consent.holdings import HOLDINGS
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.leaves import Source
from consent.transparency.merkle import leaf_hash, verify_consistency, verify_inclusion
from consent.transparency.note import Note, verify_any
from consent.transparency.receipts import InvalidReceipt, verify_receipt
from consent.use_cases.expire_consents import expire_consents
from consent.use_cases.prove_inclusion import prove_consistency, prove_inclusion
from consent.use_cases.seal_log import seal_log

MEDIA_TYPE = "application/consent-receipt+jwt"
ISO_FIELDS = {
    "schema version": "dct:conformsTo",
    "record id": "dct:identifier",
    "receipt id": "jti",
    "pii principal id": "dpv:hasDataSubject",
    "privacy notice": "dpv:hasNotice",
    "language": "dct:language",
    "purpose": "dpv:hasPurpose",
    "lawful basis": "dpv:hasLegalBasis",
    "pii information": "dpv:hasPersonalData",
    "pii controllers": "dpv:hasDataController",
    "collection method": "dpv:hasDataSource",
    "processing method": "dpv:hasProcessing",
    "storage locations, retention period": "dpv:hasStorageCondition",
    "jurisdiction": "dpv:hasJurisdiction",
    "recipient third parties": "dpv:hasRecipient",
    "withdrawal method": "dpv:hasConsentControl",
    "privacy rights": "dpv:hasRight",
    "event": "dpv:hasConsentStatus",
}


@pytest.fixture
def seal(service):
    """Bring what waits into the log."""

    async def run() -> int:
        return await seal_log(service.database, keys=service.log_keys, clock=service.clock)

    return run


async def receipt(person, consent_id, **more):
    headers = {**person.headers, **more.pop("headers", {})}
    return await person.client.get(f"/api/v1/privacy/consent/{consent_id}/receipt", headers=headers)


def read(answer, service):
    """Verify a receipt as anybody would, with PyJWT and the published keys."""
    assert answer.status_code == 200, answer.text
    keys = jwt.PyJWKSet.from_dict({"keys": service.log_keys.published})
    header = jwt.get_unverified_header(answer.text)
    assert header["typ"] == "consent-receipt+jwt"
    key = keys[header["kid"]]
    return jwt.decode(answer.text, key, algorithms=["ES256"], options={"verify_iat": False})


def root_of_note(log, service) -> Checkpoint:
    note = Note.parse(log["checkpoint"])
    assert verify_any(note, service.log_keys.verifiers)
    return Checkpoint.parse(note.text)


def theirs(log, checkpoint) -> None:
    """Verify the inclusion with sigstore."""
    inclusion = SimpleNamespace(
        log_index=log["leaf_index"],
        tree_size=checkpoint.size,
        hashes=[base64.b64decode(node) for node in log["proof"]],
        root_hash=checkpoint.root,
    )
    data = log["leaf"].encode()
    sigstore.verify_merkle_inclusion(
        SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=data))
    )


async def test_g71_receipt_has_the_fields_of_iso_27560(person, service, seal, settings) -> None:
    ann = person()
    consent = (await ann.agree("biometric_capture", "bipa", country_code="US", state_code="IL")).json()
    await seal()

    claims = read(await receipt(ann, consent["id"]), service)

    assert [name for name, field in ISO_FIELDS.items() if not claims.get(field)] == []
    assert claims["iss"] == settings.public_url
    assert claims["@type"] == "dpv:ConsentRecord"
    assert claims["dct:identifier"] == f"urn:uuid:{consent['id']}"
    event = claims["dpv:hasConsentStatus"]
    assert (event["@type"], event["event"]) == ("dpv:ConsentGiven", "grant")
    assert "typed their full name" in event["dpv:hasIndicationMethod"]
    assert event["dpv:isIndicatedAtTime"] == consent["granted_at"]
    assert event["dct:valid"] == consent["expires_at"]
    notice = claims["dpv:hasNotice"]
    text = service.rulebook.regimes["bipa"].current_text("biometric_capture", service.clock.now().date())
    assert (notice["sha256"], notice["dct:hasVersion"]) == (text.sha256, text.version)
    assert any("14/15(b)" in it["clause"] for it in claims["dpv:hasObligation"])
    assert claims["dpv:hasLegalBasis"] == ["dpv:Consent"]
    assert claims["dpv:hasConsentControl"]["dpv:isExercisedAt"].endswith(f"/consent/{consent['id']}/withdraw")


async def test_g71_legal_basis_is_that_of_the_gdpr_where_it_holds(person, service, seal) -> None:
    ann = person()
    consent = (await ann.agree(country_code="DE", consent_text_locale="de")).json()
    await seal()
    claims = read(await receipt(ann, consent["id"]), service)
    assert claims["dpv:hasLegalBasis"] == ["eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"]
    assert (claims["dct:language"], claims["dpv:hasNotice"]["dct:language"]) == ("de", "de")


async def test_k35_inclusion_and_commitment_are_checked_with_what_is_in_the_receipt(
    person, service, seal
) -> None:
    people = [person() for _ in range(5)]
    ids = [(await ann.agree(metadata={"app": "canary"})).json()["id"] for ann in people]
    await seal()
    for index, (ann, consent_id) in enumerate(zip(people, ids, strict=True)):
        log = read(await receipt(ann, consent_id), service)["log"]
        checkpoint = root_of_note(log, service)
        assert (checkpoint.size, checkpoint.origin, log["leaf_index"]) == (5, log["origin"], index)
        theirs(log, checkpoint)
        with pytest.raises(VerificationError):
            theirs({**log, "leaf": log["leaf"].replace("grant", "Grant")}, checkpoint)
        leaf = json.loads(log["leaf"])
        canonical = json.dumps(log["committed"], sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(bytes.fromhex(log["salt"]) + canonical).hexdigest() == leaf["commitment"]
        assert log["committed"]["user_id"] == str(ann.id)


async def test_k35_one_changed_byte_is_refused(person, service, seal) -> None:
    ann = person()
    consent = (await ann.agree()).json()
    await seal()
    answer = await receipt(ann, consent["id"])
    jwks = json.dumps({"keys": service.log_keys.published})
    # The time of the test stands still, and the verifier refuses what is dated after its own.
    verified = verify_receipt(answer.text, jwks)
    assert (verified.leaf["kind"], verified.leaf_index, verified.checkpoint.size) == ("grant", 0, 1)
    head, body, signature = answer.text.split(".")
    middle = len(body) // 2
    changed = body[:middle] + ("A" if body[middle] != "A" else "B") + body[middle + 1 :]
    forged = SimpleNamespace(status_code=200, text=f"{head}.{changed}.{signature}")
    with pytest.raises(jwt.InvalidSignatureError):
        read(forged, service)
    with pytest.raises(InvalidReceipt):
        verify_receipt(forged.text, jwks)


async def test_g71_receipt_waits_for_the_seal_and_is_nobodys_to_keep(person, service, seal) -> None:
    ann = person()
    consent = (await ann.agree()).json()

    early = await receipt(ann, consent["id"])
    assert (early.status_code, early.headers["Retry-After"]) == (202, "2")
    assert set(early.json()) == {"message"}
    await seal()
    answer = await receipt(ann, consent["id"])

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, MEDIA_TYPE)
    for each in (early, answer):
        assert each.headers["Cache-Control"] == "private, no-store"


async def test_g71_receipts_are_for_their_person_alone(person, seal, open_erasure, service) -> None:
    ann, ben = person(), person()
    consent = (await ann.agree()).json()
    await seal()
    assert (await receipt(ben, consent["id"])).status_code == 404
    assert (await receipt(ann, uuid4())).status_code == 404
    assert (await ann.client.get(f"/api/v1/privacy/consent/{consent['id']}/receipt")).status_code == 401
    await open_erasure(ann.id)
    assert (await receipt(ann, consent["id"])).status_code == 404
    await Holdings(service, HOLDINGS).erase([ann.id])
    assert (await receipt(ann, consent["id"])).status_code == 404


async def test_g71_refusal_withdrawal_renewal_and_expiry_have_receipts(person, service, seal, clock) -> None:
    ann, ben = person(), person()
    refused = (await ann.agree(granted=False)).json()
    first = (await ben.agree()).json()
    clock.advance(timedelta(days=729))
    renewed = (await ben.agree()).json()
    marketing = (await ben.agree("marketing")).json()
    withdrawn = (await ben.withdraw(marketing["id"])).json()
    await seal()

    async def event(holder, consent_id):
        return read(await receipt(holder, consent_id), service)["dpv:hasConsentStatus"]

    no = await event(ann, refused["id"])
    assert (no["@type"], "dct:valid" in no) == ("dpv:ConsentRefused", False)
    assert "said no" in no["dpv:hasIndicationMethod"]
    assert (await event(ben, first["id"]))["@type"] == "dpv:ConsentGiven"
    assert (await event(ben, renewed["id"]))["@type"] == "dpv:RenewedConsentGiven"
    taken_back = await event(ben, marketing["id"])
    assert taken_back["@type"] == "dpv:ConsentWithdrawn"
    assert taken_back["dct:valid"] == withdrawn["withdrawn_at"]

    clock.advance(timedelta(days=731))
    await expire_consents(service.database, clock=clock)
    await seal()
    lapsed = await event(ben, renewed["id"])
    assert (lapsed["@type"], lapsed["dpv:isIndicatedBy"]) == ("dpv:ConsentExpired", "dpv:DataController")
    assert "dpv:hasIndicationMethod" not in lapsed


async def test_g71_grant_of_a_withdrawn_consent_has_its_receipt(person, service, seal) -> None:
    ann = person()
    consent = (await ann.agree()).json()
    refused = (await ann.agree("marketing", granted=False)).json()
    await ann.withdraw(consent["id"])
    await seal()

    async def kind(consent_id, query):
        answer = await ann.call("GET", f"/consent/{consent_id}/receipt{query}")
        return read(answer, service)["dpv:hasConsentStatus"]["event"]

    assert await kind(consent["id"], "") == await kind(consent["id"], "?of=newest") == "withdrawal"
    assert await kind(consent["id"], "?of=grant") == "grant"
    assert await kind(refused["id"], "?of=grant") == "refusal"
    assert (await ann.call("GET", f"/consent/{uuid4()}/receipt?of=grant")).status_code == 404
    assert (await person().call("GET", f"/consent/{consent['id']}/receipt?of=grant")).status_code == 404


async def test_g71_receipt_is_a_page_for_people(person, service, seal) -> None:
    ann = person()
    consent = (await ann.agree("marketing", metadata={"app": "<script>alert(1)</script>"})).json()
    await seal()
    answer = await receipt(ann, consent["id"], headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert (answer.headers["Vary"], answer.headers["Cache-Control"]) == ("Accept", "private, no-store")
    assert "<script" not in answer.text
    for shown in (consent["id"], consent["granted_at"], "IrisVue", "gdpr/marketing/2026-01.en"):
        assert shown in answer.text
    token = re.search(r"<pre>(.+)</pre>", answer.text)
    assert read(SimpleNamespace(status_code=200, text=token[1]), service)["log"]["leaf_index"] == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (MEDIA_TYPE, MEDIA_TYPE),
        (f"{MEDIA_TYPE}, text/html;q=0.5", MEDIA_TYPE),
        ("*/*", MEDIA_TYPE),
        (f"text/html, {MEDIA_TYPE};q=0.5", "text/html; charset=utf-8"),
    ],
)
async def test_g71_form_is_the_one_that_is_preferred(person, seal, accept, kind) -> None:
    ann = person()
    consent = (await ann.agree()).json()
    await seal()
    answer = await receipt(ann, consent["id"], headers={"Accept": accept})
    assert answer.headers["Content-Type"] == kind


async def test_g17_kept_receipt_still_verifies_when_the_person_is_erased(
    person, service, seal, open_erasure, admin
) -> None:
    ann = person()
    consent = (await ann.agree(metadata={"app": "canary"})).json()
    await seal()
    kept = read(await receipt(ann, consent["id"]), service)["log"]
    [position] = [row[0] for row in await admin.fetch("SELECT position FROM consent.entries")]
    await open_erasure(ann.id)
    await Holdings(service, HOLDINGS).erase([ann.id])
    for _ in range(3):
        await person(new_id()).agree()
    await seal()

    old = root_of_note(kept, service)
    theirs(kept, old)
    newer = await prove_inclusion(service.database, position, Source.ENTRY)
    new = Checkpoint.parse(Note.parse(newer.checkpoint.note).text)
    assert (old.size, new.size) == (1, 4)
    proof = await prove_consistency(service.database, old.size, new.size)
    verify_consistency(old.size, new.size, proof, old_root=old.root, root=new.root)
    leaf = leaf_hash(kept["leaf"].encode())
    verify_inclusion(leaf, newer.leaf_index, new.size, newer.proof, new.root)
