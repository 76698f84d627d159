"""R24: bytes that were under way when somebody was erased, and end when the link is over too, do not stay."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from contracts.identity import UserDeleted
from storage.models import Destruction
from support.erasures import work_on_erasures

LINK_IS_OVER = timedelta(seconds=301)
JPEG = {"Content-Type": "image/jpeg"}
SLOW_BODY, SLOW_WRITE, LEFT_BEHIND = range(3)


class LateUploads:
    """Uploads that wait half-way until they are let go on, each at one of three places.

    One ends its body late, one its write to the store, and one leaves behind that write what a process that
    is killed there leaves: an object of its own, and an upload in parts that nobody ends.
    """

    def __init__(self, service, client, body: bytes, number: int) -> None:
        self._vault, self._store = service.vault, service.vault._objects
        self._upload, self._client, self._body = self._store.upload, client, body
        self._number, self._may_go_on, self.all_wait = number, asyncio.Event(), asyncio.Event()
        self._ways: dict[str, int] = {}
        self._waiting: set[str] = set()

    async def send(self, person) -> int:
        """Upload; return the status."""
        ticket = await person.ticket()
        folder = self._vault.folder_of_person(person.id)
        way = self._ways[folder] = len(self._ways) % 3

        async def pieces():
            yield self._body[:100]
            if way == SLOW_BODY:
                await self._wait(folder)
            yield self._body[100:]

        answer = await self._client.put(ticket["upload_url"], content=pieces(), headers=JPEG)
        return int(answer.status_code)

    async def upload(self, key: str, data: bytes, **described) -> None:
        """Bring sealed bytes to the store late, in the place of its own client."""
        folder = key.partition("/")[0] + "/"
        if self._ways[folder] != SLOW_BODY:
            await self._wait(folder)
        await self._upload(key, data, **described)
        if self._ways[folder] == LEFT_BEHIND:
            for _ in range(2):
                await self._upload(f"{folder}late/original", data)
            await self._store._client.create_multipart_upload(
                Bucket=self._store._bucket, Key=f"{folder}late/parts", ServerSideEncryption="AES256"
            )

    def go_on(self) -> None:
        self._may_go_on.set()

    async def _wait(self, folder: str) -> None:
        self._waiting.add(folder)
        if len(self._waiting) == self._number:
            self.all_wait.set()
        await self._may_go_on.wait()


@pytest.mark.parametrize("number", [6, pytest.param(50, marks=pytest.mark.chaos)], ids=["some", "50"])
@pytest.mark.parametrize("versioned", [False, True], indirect=True, ids=["plain", "keeps versions"])
async def test_r24_bytes_that_end_after_erasure_and_link_are_gone_with_the_sweep(
    number, versioned, person_of, service, client, clock, deliver, participation, pictures, monkeypatch
) -> None:
    people = [person_of() for _ in range(number)]
    ids = [person.id for person in people]
    late = LateUploads(service, client, pictures.jpeg(), number)
    monkeypatch.setattr(service.vault._objects, "upload", late.upload)
    sending = [asyncio.create_task(late.send(person)) for person in people]
    async with asyncio.timeout(60):
        # One that fails before it waits would let this wait for ever.
        await late.all_wait.wait()

    now = clock.now()
    for person in people:
        await deliver(UserDeleted(user_id=person.id, erasure_id=uuid4(), requested_at=now, deadline=now))
    while await work_on_erasures(participation, service.database):
        pass
    assert set((await service.vault.count_objects(ids)).values()) == {0}
    clock.advance(LINK_IS_OVER)
    late.go_on()
    assert set(await asyncio.gather(*sending)) == {410}
    # What a request cleans up behind itself is gone; what a dead process has left is there until the sweep.
    assert sum((await service.vault.count_objects(ids)).values()) >= number // 3 * (2 if versioned else 1)
    async with service.unit_of_work() as uow:
        planned = await uow.session.scalar(select(func.count()).select_from(Destruction))
        assert planned >= number
        due = Destruction.__table__.update().values(next_attempt_at=func.clock_timestamp())
        await uow.session.execute(due)

    while await service.destroyer.work_once():
        pass

    assert set((await service.vault.count_objects(ids)).values()) == {0}
