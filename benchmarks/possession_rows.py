"""Rows about erasures of people who have much: the answer must not depend on it, and what the rest costs."""

import asyncio
import io
from statistics import median

from PIL import Image

from benchmarks.client import Connection
from benchmarks.comparison import Row, Sample
from benchmarks.erasure_rows import Ours
from benchmarks.references.objects import BareStore
from benchmarks.subject import Person, Subject
from benchmarks.taking import take_picture
from chassis.ids import new_id
from cluster.environment import BUCKET

PEOPLE = 10
OBJECTS = 100
PER_PICTURE = 2
"""A picture and its thumbnail."""


async def possession_rows(subject: Subject, store: BareStore) -> list[Row]:
    """Compare people who have a hundred objects with people who have none, and with the bare store."""
    ours, having = Ours(subject), Having(subject, store)

    async def answers_with() -> Sample:
        return Sample(median((await ours.one_by_one(await having.people()))[0]))

    async def answers_without() -> Sample:
        return Sample(median((await ours.one_by_one(await ours.people(PEOPLE)))[0]))

    async def longer() -> Sample:
        _, without = await ours.one_by_one(await ours.people(PEOPLE))
        _, ended = await ours.one_by_one(await having.people())
        return Sample(median(ended) - median(without))

    return [
        Row(
            f"DELETE answer p50 with {OBJECTS} objects / with none",
            "ms",
            answers_with,
            answers_without,
            1.2,
            at_most=True,
        ),
        Row(
            f"{OBJECTS} objects more until erased / list and batch delete",
            "ms",
            longer,
            having.bare,
            1.5,
            at_most=True,
        ),
    ]


class Having:
    """People with a hundred objects each, and as many objects that are nobody's."""

    def __init__(self, subject: Subject, store: BareStore) -> None:
        self._subject = subject
        self._store = store
        self._picture = _small_picture()

    async def people(self) -> list[Person]:
        """Return people with a picture, and whatever else lies in their folders."""
        people = await Ours(self._subject).people(PEOPLE)
        async with Connection(self._subject.gateway) as connection:
            for person in people:
                photo = await take_picture(connection, person, self._picture)
                beside = f"{photo['s3_key'].split('/', 1)[0]}/{new_id()}/1/"
                await asyncio.to_thread(self._store.fill, beside, OBJECTS - PER_PICTURE, bucket=BUCKET)
        await self._subject.quiesce()
        return people

    async def bare(self) -> Sample:
        """Return how many milliseconds a list and a batch delete of as many objects take, p50."""
        prefixes = [f"{new_id()}/" for _ in range(PEOPLE)]
        for prefix in prefixes:
            await asyncio.to_thread(self._store.fill, prefix, OBJECTS)
        return Sample(median([await asyncio.to_thread(self._store.empty, prefix) for prefix in prefixes]))


def _small_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 120, 160)).save(buffer, "JPEG")
    return buffer.getvalue()
