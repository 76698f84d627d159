"""Repeating a request with the same Idempotency-Key, because its answer was lost."""

import asyncio

from storage.models import Photo

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def call(person, method, path, **content):
    headers = person._headers | KEY
    return await person._client.request(method, f"/api/v1/photos{path}", headers=headers, **content)


async def test_S21_fifty_requests_for_a_link_at_once_begin_one_photo(ada, pictures) -> None:  # noqa: N802
    body = {"content_type": "image/jpeg"}
    answers = await asyncio.gather(*(call(ada, "POST", "/upload", json=body) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await ada.call("GET", "?include=pending")).json()["total"] == 1
    assert (await ada.put(answers[0].json(), pictures.jpeg())).status_code == 200

    other = await call(ada, "POST", "/upload", json={"content_type": "image/png"})
    assert (other.status_code, other.json()["type"]) == (422, "urn:irisvue:problem:idempotency-key-reused")


async def test_link_that_was_refused_for_want_of_consent_is_given_once_there_is_one(
    stranger, consent, deliver
) -> None:
    body = {"content_type": "image/jpeg"}
    assert (await call(stranger, "POST", "/upload", json=body)).status_code == 403
    consent.grant(stranger.id)
    assert (await call(stranger, "POST", "/upload", json=body)).status_code == 201


async def test_deletion_that_is_repeated_destroys_once_after_its_commit(
    ada, service, pictures, announced, monkeypatch
) -> None:
    photo = await ada.upload(pictures.jpeg())
    empty, left = service.vault.empty, []

    async def watched(folder):
        async with service.unit_of_work() as uow:
            left.append((await uow.session.get(Photo, photo["id"])) is not None)
        await empty(folder)

    monkeypatch.setattr(service.vault, "empty", watched)
    first, second = [await call(ada, "DELETE", f"/{photo['id']}") for _ in range(2)]
    assert (first.status_code, second.status_code) == (204, 204)
    assert left == [False]
    assert await service.vault.count_objects([ada.id]) == {ada.id: 0}
    assert [event["type"] for event in await announced()].count("storage.photo.deleted.v1") == 1
