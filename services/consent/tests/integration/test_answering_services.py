from chassis.ids import new_id


async def test_a_person_nobody_knows_has_agreed_to_nothing(ask) -> None:
    answer = await ask(new_id())
    assert answer.status_code == 200
    assert answer.json() == {
        "granted": False,
        "consent_id": None,
        "epoch": 0,
        "withdrawn_epoch": 0,
        "jurisdiction": None,
        "may_collect": False,
        "stricter_jurisdiction": None,
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_only_the_services_that_act_on_consent_may_ask(ask, client, person) -> None:
    ann = person()
    path = f"/internal/consents/{ann.id}/biometric_capture"
    assert (await ask(ann.id, caller="gateway")).status_code == 200
    assert (await ask(ann.id, caller="identity")).status_code == 403
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=ann.headers)).status_code == 401


async def test_a_question_about_no_purpose_or_nobody_is_refused(ask, client) -> None:
    assert (await ask(new_id(), "telepathy")).status_code == 422
    assert (await ask("nobody")).status_code == 422
