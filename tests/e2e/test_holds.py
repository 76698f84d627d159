"""G-17.3: one held photo of two outlives an erasure, and goes when an operator lets go of it."""

import json
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cluster.environment import DATABASE
from consent.transparency.anchors import verify_anchor
from identity.erasure.certificate import certificate_digest, verify_certificate
from support.eventually import eventually

HEARD = "SELECT count(*) FROM storage.standing_holds WHERE hold_id = $1"


def operate(stage, *arguments: str):
    return stage.run(
        *(sys.executable, "-m", "cluster", "--directory", str(stage.cluster.layout.home)),
        *("operate", "identity", "erasures", *arguments),
    )


async def test_a_held_photo_stays_unread_is_certified_and_goes_with_its_hold(
    person, jpeg, stage, until_erased
) -> None:
    await person.agree()
    held, _ = [await person.take_picture(jpeg) for _ in range(2)]
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    ground = (
        "--code",
        "eu-gdpr:A17-3-e",
        "--legal-reference",
        "Article 17(3)(e) GDPR",
        "--approver",
        "Grace",
    )
    thing = ("--service", "storage", "--kind", "photos", "--record", held["id"])
    placed = operate(stage, "hold", person.id, *thing, *ground, "--until", until)
    assert placed.returncode == 0, placed.stderr
    hold_id = placed.stdout.split()[1]

    preview = (await person.app.call("GET", "/users/me/erasure-preview")).document
    assert [it["legal_reference"] for it in preview["holds"]] == ["Article 17(3)(e) GDPR"]
    receipt = await person.ask_to_be_erased()
    key = (receipt["erasure_id"], receipt["status_token"])

    async def outcome(status: str) -> tuple[str, dict]:
        answer = await person.app.certificate(*key)
        assert answer.status == 200
        claims = verify_certificate(answer.body.decode(), (await person.app.published_keys()).body.decode())
        assert claims["status"] == status
        return answer.body.decode(), claims

    partial, claims = await eventually(lambda: outcome("partial"), seconds=60)
    counts = {it["service"]: (it["erased"], it["held"]) for it in claims["participants"]}
    assert counts["storage"][1] == {"photos": 1, "objects": 2, "data_keys": 1}
    told = {
        part["service"]: {it["kind"]: (it["count"], it["held"]) for it in part["erased"]}
        for part in preview["participants"]
    }
    for kind, (count, kept) in told["storage"].items():
        assert (counts["storage"][0][kind], counts["storage"][1].get(kind, 0)) == (count, kept), kind
    assert person.id not in json.dumps(claims)
    assert held["id"] not in json.dumps(claims)
    assert (await person.app.follow("GET", held["original_url"])).status in {401, 403, 410}

    released = operate(stage, "release", hold_id, "--by", "Grace", "--reason", "the case is closed")
    assert released.returncode == 0, released.stderr
    await until_erased(person.app, receipt)
    last, claims = await outcome("completed")
    assert claims["supersedes"] == certificate_digest(partial)
    jwks = (await person.app.published_keys()).body.decode()

    async def proved(certificate: str) -> None:
        found = await person.app.anchor(certificate_digest(certificate))
        assert found.status == 200
        assert verify_anchor(certificate, found.body.decode(), jwks).kind == "erasure-certificate"

    for certificate in (partial, last):
        await eventually(lambda certificate=certificate: proved(certificate))


async def test_an_officer_holds_over_the_gateway_and_a_withdrawal_ends_only_the_reading(
    person, officer, jpeg, stage, until_erased
) -> None:
    consent_id = await person.agree()
    held = await person.take_picture(jpeg)
    wanted = {
        "subject": person.id,
        "service": "storage",
        "kind": "photos",
        "record": held["id"],
        "code": "eu-gdpr:A17-3-e",
        "legal_reference": "Article 17(3)(e) GDPR",
        "approver": "Grace",
    }
    ends = {"expires_at": (datetime.now(UTC) + timedelta(days=30)).isoformat()}
    assert (await officer.call("POST", "/operations/holds", json=wanted)).status == 422
    assert (await person.app.call("POST", "/operations/holds", json=wanted | ends)).status == 403
    placed = await officer.call("POST", "/operations/holds", json=wanted | ends)
    assert placed.status == 201, placed.body
    hold_id = placed.document["hold_id"]

    async def storage_has_heard() -> None:
        async with stage.database(DATABASE) as connection:
            assert await connection.fetchval(HEARD, UUID(hold_id)) == 1

    await eventually(storage_has_heard)

    assert (await person.app.withdraw(consent_id)).status == 200
    assert (await person.app.follow("GET", held["original_url"])).status in {403, 410}
    receipt = await person.ask_to_be_erased()

    async def only_the_hold_is_left() -> None:
        told = (await person.app.erasure(receipt["erasure_id"], receipt["status_token"])).document
        assert (told["status"], told["outcome"]) == ("partial", "partial")

    await eventually(only_the_hold_is_left, seconds=60)
    said = {"released_by": "Grace", "reason": "the case is closed"}
    assert (await officer.call("POST", f"/operations/holds/{hold_id}/release", json=said)).status == 200
    await until_erased(person.app, receipt)
