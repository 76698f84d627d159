"""E-09: the person takes a certificate along, which anybody can check, and finds it in the log."""

from consent.transparency.anchors import verify_anchor
from identity.erasure.certificate import certificate_digest, verify_certificate
from support.eventually import eventually


async def test_certificate_holds_with_the_published_keys_and_its_digest_is_in_the_log(
    person, jpeg, until_erased
) -> None:
    await person.agree()
    await person.take_picture(jpeg)
    receipt = await person.ask_to_be_erased()
    key = (receipt["erasure_id"], receipt["status_token"])
    early = await person.app.certificate(*key)
    assert early.status in {200, 409}
    status = await until_erased(person.app, receipt)

    answer = await person.app.certificate(*key)
    assert answer.headers["Content-Type"] == "application/erasure-certificate+jwt"
    certificate, jwks = answer.body.decode(), (await person.app.published_keys()).body.decode()
    claims = verify_certificate(certificate, jwks)
    assert {it["service"]: it["erased"] for it in claims["participants"]} == {
        it["service"]: it["erased"] for it in status["participants"]
    }
    assert person.id not in str(claims)

    async def proof() -> str:
        found = await person.app.anchor(certificate_digest(certificate))
        assert found.status == 200
        return found.body.decode()

    anchor = verify_anchor(certificate, await eventually(proof), jwks)
    assert anchor.kind == "erasure-certificate"
