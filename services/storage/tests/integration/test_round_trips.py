"""What each action costs in round trips to PostgreSQL; docs/architecture.md has the table."""

from collections import Counter

import pytest
from pydantic import SecretStr

from chassis.consumer import Inbound, Outcome
from chassis.holdings import Holdings
from chassis.ids import new_id
from contracts.envelope import wrap
from storage.consents import Whereabouts
from storage.holdings import HOLDINGS
from storage.main import STORAGE
from storage.policy import Rendition
from storage.use_cases.accept_picture import Body
from storage.use_cases.ask_consent import ask_consent
from storage.use_cases.confirm_photo import confirm_photo
from storage.use_cases.reconcile_consents import reconcile_consents
from storage.use_cases.request_upload import Uploader, Wanted
from storage.use_cases.resume_upload import Piece
from storage.wiring import open_service
from support.store_requests import requests_to


class Paths:
    """The actions of storage, without HTTP of its own."""

    def __init__(self, service, consent, picture) -> None:
        self._service, self._consent, self._picture = service, consent, picture
        self._photo_id = None
        self._holdings = Holdings(service, HOLDINGS)
        self._person = new_id()
        consent.grant(self._person)
        self._inbound = {
            event: Inbound(service.database, consumer)
            for consumer in STORAGE.create_worker(service).work.consumers
            for event in consumer.handlers
        }

    async def hear_grant(self):
        await self._hear(self._consent.grant(self._person))

    async def hear_withdrawal(self):
        await self._hear(self._consent.withdraw(self._person))

    async def _hear(self, event):
        body = wrap(event, event_id=new_id(), time=self._service.clock.now(), traceparent=None).to_json()
        assert await self._inbound[type(event)].process(body) is Outcome.DONE

    async def ask(self):
        return await ask_consent(self._service.database, self._service.consents, user_id=self._person)

    async def upload_link(self):
        uploader = Uploader(self._person, new_id(), address_proved=True, seen=Whereabouts())
        return await self._service.upload_desk.request_upload(uploader, Wanted("image/jpeg"))

    async def upload(self):
        """Bring a photo to where it can be read."""
        photo, token = await self.upload_link()

        async def body(_memory):
            return Body(self._picture, "digest")

        await self._service.reception.receive(
            photo.id, token=token, content_type="image/jpeg", read_body=body
        )
        async with self._service.unit_of_work() as uow:
            await confirm_photo(uow, user_id=self._person, photo_id=photo.id, file_size=len(self._picture))
        self._photo_id = photo.id

    async def begin_in_pieces(self):
        uploader = Uploader(self._person, new_id(), address_proved=True, seen=Whereabouts())
        wanted = Wanted("image/jpeg", len(self._picture))
        photo, token = await self._service.upload_desk.request_upload(uploader, wanted)
        self._upload, self._offset = (photo.id, token), 0

    async def append(self):
        """Bring 100 bytes more."""
        bytes_left = [self._picture[self._offset : self._offset + 100]]
        photo_id, token = self._upload

        class Arriving:
            async def read(self):
                return bytes_left.pop() if bytes_left else None

        piece = Piece(self._offset, 100, None, lambda _memory: Arriving())
        await self._service.resumable_uploads.append(photo_id, token=token, piece=piece)
        self._offset += 100

    async def erase(self):
        """Take the inventory, erase, and look again; one who has pictures has two objects of them."""
        found = await self._holdings.count([self._person])
        with requests_to(self._service.vault._objects) as self.asked:
            await self._holdings.erase_all_but([self._person], {}, found)
            left = await self._holdings.count([self._person])
        assert not any(left[self._person].values())
        self._person = new_id()
        self._consent.grant(self._person)

    async def read(self):
        async def admit(_size):
            return

        photo = await self._service.reader.find(self._photo_id)
        opened = await self._service.reader.open(photo, Rendition.ORIGINAL, session_id=new_id(), admit=admit)
        assert opened.content.startswith(b"\xff\xd8")

    async def idle_reconciliation(self):
        await reconcile_consents(self._service.database, self._service.consents)


@pytest.fixture
async def paths(service, settings, clock, consent, round_trips, pictures):
    ways = {
        name: SecretStr(round_trips.way(getattr(settings, name).get_secret_value()))
        for name in ("database_url", "keyring_database_url")
    }
    async with open_service(settings.model_copy(update=ways), clock) as counted:
        yield Paths(counted, consent, pictures.jpeg())


@pytest.mark.parametrize(
    ("path", "before", "budget"),
    [
        ("ask", (), 1),
        ("upload_link", (), 2),
        ("begin_in_pieces", (), 2),
        ("append", ("begin_in_pieces", "append"), 10),
        ("read", ("upload",), 4),
        ("hear_grant", (), 3),
        ("hear_withdrawal", ("hear_grant",), 4),
        ("erase", ("hear_grant", "upload"), 10),
        ("idle_reconciliation", ("idle_reconciliation",), 2),
    ],
)
async def test_path_takes_no_more_round_trips_than_budgeted(paths, round_trips, path, before, budget):
    for warm in (False, False, True):
        # The first times prepare the statements, once for each connection.
        await paths.hear_grant()
        for step in before:
            await getattr(paths, step)()
        with round_trips.within(budget if warm else 100):
            await getattr(paths, path)()


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        # Nothing is deleted where the inventory has found nothing.
        ("hear_grant", {"ListMultipartUploads": 1, "ListObjectVersions": 1}),
        ("upload", {"ListMultipartUploads": 2, "ListObjectVersions": 2, "DeleteObjects": 1}),
    ],
)
async def test_erasure_after_its_inventory_asks_the_store_no_more_than_it_must(paths, before, asked):
    await paths.hear_grant()
    await getattr(paths, before)()
    await paths.erase()
    assert Counter(paths.asked) == asked
