"""E-09, K19: a certificate says who erased what and when, once all have looked, and holds without us."""

import hashlib
import json
from datetime import timedelta
from uuid import UUID

import jwt
import pytest
from sqlalchemy import select

from chassis.sealing import key_id
from contracts.envelope import parse
from contracts.identity import ErasureCompleted
from contracts.participation import ErasureReported
from identity.erasure.certificate import InvalidCertificate, KeysNotLoaded, verify_certificate
from identity.use_cases.erasure.collect_report import collect_report
from identity.use_cases.operations.forget_expired import forget_expired
from identity.use_cases.operations.rotate_keys import rotate_keys

SIGNED = "application/erasure-certificate+jwt"


@pytest.fixture
def certificate(client, deletion):
    """Return a function that asks for ada's certificate."""

    async def _certificate(token=None, **headers):
        path = f"/api/v1/privacy/erasures/{deletion['erasure_id']}/certificate"
        shown = {"X-Erasure-Token": deletion["status_token"] if token is None else token}
        return await client.get(path, headers={**shown, **headers})

    return _certificate


@pytest.fixture
def erased(report):
    """Return a function that lets every participant report."""

    async def _erased():
        await report("storage", photos=3, data_keys=1)
        await report("consent", regimes=("gdpr", "bipa"), consent_entries=2)
        await report("identity", accounts=1)

    return _erased


@pytest.fixture
def published(client, gateway_headers):
    """Return a function that gives the keys as the gateway publishes them."""

    async def _published():
        tokens = (await client.get("/.well-known/jwks.json")).json()["keys"]
        certificates = (await client.get("/internal/published-keys", headers=gateway_headers)).json()["keys"]
        return json.dumps({"keys": [*tokens, *certificates]})

    return _published


async def test_a_certificate_says_what_every_participant_has_verified(
    certificate, deletion, erased, published, ada, settings, service
):
    await erased()
    answer = await certificate()
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, SIGNED)
    assert answer.headers["Cache-Control"] == "private, no-store"
    header = jwt.get_unverified_header(answer.text)
    assert (header["typ"], header["alg"]) == ("erasure-certificate+jwt", "ES256")
    claims = verify_certificate(answer.text, await published())
    assert (claims["iss"], claims["erasure_id"]) == (settings.public_url, deletion["erasure_id"])
    assert [it["step"] for it in claims["steps"]] == ["requested", "erasing", "verifying", "completed"]
    assert {it["service"]: it["erased"] for it in claims["participants"]} == {
        "storage": {"photos": 3, "data_keys": 1},
        "consent": {"consent_entries": 2},
        "identity": {"accounts": 1},
    }
    assert claims["regimes"] == ["bipa", "gdpr"]
    assert claims["keys"]["provider"] == "file"
    assert claims["completed_at"] < claims["backups"]["wrapped_keys_until"] < claims["backups"]["rows_until"]


@pytest.mark.parametrize("form", ["application/json", "text/html"])
async def test_it_says_by_key_provider_what_is_destroyed_and_who_can_open_what_until_when(
    certificate, report, form
):
    await report("storage", key_providers=("vault-transit", "file"), data_keys=1)
    await report("consent")
    await report("identity")
    answer = await certificate(Accept=form)
    if form == "application/json":
        keys = answer.json()["claims"]["keys"]
        assert [keys["provider"], *(it["provider"] for it in keys["also"])] == ["vault-transit", "file"]
        assert {it["until"] for it in (keys, *keys["also"])} == {
            answer.json()["claims"]["backups"]["wrapped_keys_until"]
        }
    for said in ("transit engine of Vault", "in the settings of the service", "until the backup is deleted"):
        assert said in answer.text


async def test_the_person_is_a_keyed_hash_whose_key_is_named(certificate, erased, ada, service):
    await erased()
    answer = await certificate(Accept="application/json")
    for trace in (ada.user_id, ada.user_id.replace("-", ""), ada.email):
        assert trace not in answer.text
    claims = answer.json()["claims"]
    assert claims["sub"] == service.certificates.subject(UUID(ada.user_id))
    assert claims["sub"] != service.database.person_hash(UUID(ada.user_id))
    assert claims["sub_key"] == key_id(service.database.subkey("subjects of erasure certificates")).hex()


async def test_a_certificate_asked_for_too_early_says_who_is_missing(certificate, report):
    await report("storage")
    answer = await certificate()
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:irisvue:problem:not-certified-yet"
    assert answer.json()["missing_participants"] == ["consent", "identity"]


async def test_what_an_earlier_release_completed_has_none_and_says_so(platform, certificate, erased):
    await erased()
    connection = await platform.connect_as_admin()
    try:
        await connection.execute("TRUNCATE identity.erasure_certificates")
    finally:
        await connection.close()
    answer = await certificate()
    assert (answer.status_code, answer.json()["missing_participants"]) == (409, [])
    assert "before certificates were signed" in answer.json()["detail"]


@pytest.mark.parametrize("token", ["", "guess"])
async def test_without_the_token_there_is_none(client, certificate, erased, token):
    await erased()
    refused = await certificate(token=token)
    unknown = await client.get("/api/v1/privacy/erasures/019ab0c4-1000-7001-8001-0000316edc57/certificate")
    assert refused.status_code == unknown.status_code == 404
    assert refused.json()["detail"] == unknown.json()["detail"]


async def test_its_digest_travels_with_the_completion(service, certificate, erased):
    await erased()
    token = (await certificate()).text
    async with service.database.read_only() as session:
        outbox = service.database.tables.outbox
        body = await session.scalar(select(outbox.c.body).where(outbox.c.type == ErasureCompleted.type))
    completed = parse(body, ErasureCompleted).data
    assert completed.certificate_digest == hashlib.sha256(token.encode()).hexdigest()


async def test_it_stays_the_same_and_good_when_its_key_signs_no_token_any_more(
    certificate, erased, published, service, clock, client
):
    await erased()
    before = (await certificate()).text
    async with service.unit_of_work() as uow:
        await rotate_keys(uow, sealing=service.sealing_keys)
    await service.load_keys()
    clock.advance(timedelta(days=400))
    await forget_expired(service.database, service.rules, keep_keys=service.tokens.signing_keys.keep)
    await service.load_keys()
    kid = jwt.get_unverified_header(before)["kid"]
    live = (await client.get("/.well-known/jwks.json")).json()["keys"]
    # What checks certificates is no key of access tokens any more.
    assert kid not in [key["kid"] for key in live]
    assert (await certificate()).text == before
    assert verify_certificate(before, await published())["status"] == "completed"


async def test_nothing_is_completed_before_it_is_known_which_key_signs(
    report, service, certificate, deletion
):
    await report("storage")
    await report("consent")
    service.tokens.signing_keys.loaded = False
    last = ErasureReported.by("identity").of(
        UUID(deletion["erasure_id"]), completed_at=service.clock.now(), erased={}
    )

    async def collect():
        async with service.unit_of_work() as uow:
            await collect_report(uow, last, certificates=service.certificates)

    with pytest.raises(KeysNotLoaded):
        await collect()
    assert (await certificate()).json()["missing_participants"] == ["identity"]
    await service.load_keys()
    await report("identity")
    assert (await certificate()).status_code == 200


async def test_ten_lines_of_a_jose_library_verify_it(certificate, erased, published):
    await erased()
    token, jwks = (await certificate(Accept="application/jwt")).text, await published()

    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in jwt.PyJWKSet.from_json(jwks).keys if key.key_id == kid)
    claims = jwt.decode(token, key, algorithms=["ES256"])
    print(claims["erasure_id"], claims["completed_at"])

    assert {it["service"] for it in claims["participants"]} == {"storage", "consent", "identity"}


async def test_one_changed_letter_fails(certificate, erased, published):
    await erased()
    token, jwks = (await certificate()).text, await published()
    for at in range(0, len(token) - 1, 17):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(InvalidCertificate):
            verify_certificate(changed, jwks)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", SIGNED),
        ("application/jwt", "application/jwt"),
        ("application/jose", "application/jose"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
    ],
)
async def test_its_form_is_the_one_that_is_preferred(certificate, erased, accept, kind):
    await erased()
    answer = await certificate(Accept=accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert (answer.headers["Vary"], "<script" in answer.text) == ("Accept", False)
    assert (await certificate()).text in answer.text


async def test_it_is_a_document_too(certificate, erased, deletion):
    await erased()
    answer = await certificate(Accept="application/pdf")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    assert answer.content == (await certificate(Accept="application/pdf")).content


async def test_nobody_changes_or_deletes_one(platform, service, erased):
    await erased()
    connection = await platform.connect_as_admin()
    try:
        for table in ("erasure_certificates", "certificate_keys"):
            for right, expected in (("INSERT", True), ("SELECT", True), ("UPDATE", False), ("DELETE", False)):
                may = await connection.fetchval(
                    "SELECT has_table_privilege('identity_app', $1, $2)", f"identity.{table}", right
                )
                assert may is expected, (table, right)
    finally:
        await connection.close()
