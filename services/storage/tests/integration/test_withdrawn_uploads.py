"""R23: a withdrawal at any moment of an upload, whenever it is heard of, leaves nothing of that upload."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from contracts.consent import ConsentWithdrawn
from storage.models import Destruction, Photo
from storage.use_cases.expire_uploads import expire_uploads

SEED = 23
PIECES = 5
LINK_IS_OVER = timedelta(seconds=301)
MOMENTS = 15
"""How many an undisturbed upload passes: four steps and the end, five pieces, four questions, one write."""
TAKEN = range(200, 300)
JPEG = {"Content-Type": "image/jpeg"}


@dataclass
class Story:
    """One upload, and a withdrawal at one moment of it, numbered from 0.

    `after` has the statuses of what began when the withdrawal was acknowledged already. `renewed` is whether
    the consent was given anew at once, and `lawful` whether the link came after that.
    """

    person: Any
    at: int
    renewed: bool = False
    told_at_once: bool = False
    passed: int = 0
    withdrawn: ConsentWithdrawn | None = None
    lawful: bool = False
    after: list[int] = field(default_factory=list)


class Teller:
    """Lets stories happen: link, bytes in pieces, confirmation, and a look at the photo."""

    def __init__(self, service, client, consent, deliver, body: bytes) -> None:
        self._client, self._consent, self._deliver, self._body = client, consent, deliver, body
        self._vault, self._put = service.vault, service.vault.put
        self._telling: list[asyncio.Task[None]] = []
        self._story = Story(None, at=-1)

    async def tell(self, story: Story, patch: pytest.MonkeyPatch) -> None:
        self._story, self._consent.before_answer = story, self._moment
        patch.setattr(self._vault, "put", self._write)
        await self._upload()
        await self._moment()
        self._consent.before_answer = None
        await asyncio.gather(*self._telling)
        if story.withdrawn is not None and not story.told_at_once:
            await self._deliver(story.withdrawn)

    async def _moment(self) -> None:
        """Note that a moment has come; the withdrawal is acknowledged when this returns."""
        story = self._story
        story.passed += 1
        if story.passed - 1 != story.at:
            return
        story.withdrawn = self._consent.withdraw(story.person.id)
        if story.told_at_once:
            self._telling.append(asyncio.create_task(self._deliver(story.withdrawn)))
        if story.renewed:
            self._consent.grant(story.person.id)

    async def _write(self, place, renditions) -> None:
        await self._put(place, renditions)
        await self._moment()

    async def _pieces(self):
        size = len(self._body) // (PIECES - 1)
        for begin in range(0, len(self._body), size):
            await self._moment()
            yield self._body[begin : begin + size]

    async def _step(self, method: str, url: str, **content: Any) -> Any:
        await self._moment()
        begun_after = self._story.withdrawn is not None
        answer = await self._client.request(method, url, **content)
        if begun_after:
            self._story.after.append(answer.status_code)
        return answer

    async def _upload(self) -> None:
        signed = {"headers": self._story.person._headers}
        link = await self._step("POST", "/api/v1/photos/upload", **signed)
        if link.status_code not in TAKEN:
            return
        # Whoever is given a link now has agreed anew.
        self._story.lawful = self._story.withdrawn is not None
        ticket = link.json()
        await self._step("PUT", ticket["upload_url"], content=self._pieces(), headers=JPEG)
        size = {"json": {"file_size": len(self._body), "width": 1, "height": 1}}
        photo = await self._step("POST", f"/api/v1/photos/{ticket['photo_id']}/confirm", **size, **signed)
        if photo.status_code in TAKEN:
            await self._step("GET", photo.json()["original_url"])


@pytest.fixture
def teller(service, client, consent, deliver, pictures) -> Teller:
    return Teller(service, client, consent, deliver, pictures.jpeg())


@pytest.fixture
def sweep(service, clock):
    """Let every link end, and do whatever is planned for later."""

    async def _sweep() -> None:
        clock.advance(LINK_IS_OVER)
        await expire_uploads(service.database, upload_takes=timedelta(0), confirm_within=timedelta(hours=24))
        async with service.unit_of_work() as uow:
            due = Destruction.__table__.update().values(next_attempt_at=func.clock_timestamp())
            await uow.session.execute(due)
        while await service.destroyer.work_once():
            pass

    return _sweep


def stories_of(person_of, number: int) -> list[Story]:
    """Return one for each moment, or as many as are asked for, at random."""
    chance = random.Random(SEED)
    told = []
    for turn in range(number):
        at = turn if number == MOMENTS else chance.randrange(MOMENTS)
        renewed, told_at_once = at == 0 or chance.random() < 0.3, chance.random() < 0.5
        told.append(Story(person_of(), at, renewed=renewed, told_at_once=told_at_once))
    return told


@pytest.mark.parametrize(
    "number", [MOMENTS, pytest.param(200, marks=pytest.mark.chaos)], ids=["each moment", "200 at random"]
)
async def test_r23_withdrawal_at_any_moment_of_an_upload_leaves_nothing_of_it(
    number, person_of, service, teller, sweep, monkeypatch
) -> None:
    undisturbed, stories = Story(person_of(), at=MOMENTS), stories_of(person_of, number)
    for story in (undisturbed, *stories):
        await teller.tell(story, monkeypatch)
    await sweep()

    assert undisturbed.passed == MOMENTS
    assert all(story.withdrawn is not None for story in stories)
    used = [story for story in stories if not story.lawful and set(story.after) & set(TAKEN)]
    assert used == []
    left = await service.vault.count_objects([story.person.id for story in stories if not story.lawful])
    assert set(left.values()) == {0}
    lawful = [undisturbed.person.id, *(story.person.id for story in stories if story.lawful)]
    assert set((await service.vault.count_objects(lawful)).values()) == {2}
    epochs = {story.person.id: story.withdrawn.epoch for story in stories if story.withdrawn}
    async with service.unit_of_work() as uow:
        kept = (await uow.session.scalars(select(Photo).where(Photo.received_at.is_not(None)))).all()
    assert [photo.id for photo in kept if photo.consent_epoch <= epochs.get(photo.user_id, 0)] == []
