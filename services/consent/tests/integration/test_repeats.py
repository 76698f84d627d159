"""Repeating a request with the same Idempotency-Key, because its answer was lost."""

import asyncio

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
AGREEMENT = {"consent_type": "biometric_capture", "jurisdiction": "gdpr", "consent_text_version": "2026-01"}


async def agree(person, **changed):
    return await person.client.post(
        "/api/v1/privacy/consent", headers=person.headers | KEY, json={**AGREEMENT, **changed}
    )


async def test_S21_fifty_grants_at_once_are_one_consent_with_equal_answers(person, admin) -> None:  # noqa: N802
    ann = person()
    answers = await asyncio.gather(*(agree(ann) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 1
    assert await admin.fetchval("SELECT count(*) FROM consent.outbox") == 1


async def test_S21_key_is_good_for_one_request_of_one_person(person, admin) -> None:  # noqa: N802
    ann, ben = person(), person()
    first = await agree(ann)
    other = await agree(ann, jurisdiction="uk_gdpr")
    assert (other.status_code, other.json()["type"]) == (422, "urn:irisvue:problem:idempotency-key-reused")
    assert (await agree(ben)).json()["user_id"] == str(ben.id)
    assert (await agree(ann)).content == first.content
    assert await admin.fetchval("SELECT count(*) FROM consent.entries") == 2


async def test_grant_that_is_repeated_after_the_withdrawal_gives_the_old_answer_and_no_consent(
    person, ask
) -> None:
    ann = person()
    granted = await agree(ann)
    await ann.withdraw(granted.json()["id"])
    assert (await agree(ann)).content == granted.content
    assert (await ask(ann.id)).json()["granted"] is False


async def test_grant_of_an_outdated_text_may_be_mended_under_the_same_key(person) -> None:
    ann = person()
    assert (await agree(ann, consent_text_version="1999-01")).status_code == 409
    assert (await agree(ann)).status_code == 201
