"""Identity on real servers."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event, select

from chassis.consumer import Inbound, Outcome
from chassis.holdings import Holdings
from chassis.ids import new_id
from chassis.service_auth import ServiceTokens
from contracts.envelope import Event, wrap
from contracts.participation import ErasureReported
from identity.holdings import HOLDINGS
from identity.mail.transport import SmtpTransport
from identity.main import IDENTITY
from identity.settings import IdentitySettings
from identity.use_cases.mail.send_mail import MailDelivery
from identity.wiring import Service, open_service
from support import FrozenClock
from support.gateway import through_gateway
from support.platform import Platform

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def cheap_hashes() -> dict[str, int]:
    """Return what makes a hash cheap: hundreds of tests sign somebody up, and few ask what that costs."""
    return {"argon2_memory_kib": 64, "argon2_iterations": 1}


@pytest.fixture(scope="session")
def production_settings(platform: Platform) -> IdentitySettings:
    """Return settings with which a hash costs what it costs in production."""
    platform.migrate("identity")
    with platform.variables_of("identity"):
        # However busy the machine is, no test is refused a hash that it asks for.
        return IdentitySettings(argon2_wait_seconds=300.0)


@pytest.fixture(scope="session")
def settings(production_settings: IdentitySettings, cheap_hashes: dict[str, int]) -> IdentitySettings:
    return production_settings.model_copy(update=cheap_hashes)


@pytest.fixture
async def service(
    platform: Platform, settings: IdentitySettings, clock: FrozenClock
) -> AsyncIterator[Service]:
    await platform.clean("identity")
    await platform.forget_counts()
    async with open_service(settings, clock) as opened:
        # As the processes do when they start.
        await opened.load_keys()
        yield opened


@pytest.fixture
def holdings(service: Service) -> Holdings[Service]:
    """What identity holds."""
    return Holdings(service, HOLDINGS)


@pytest.fixture
async def client(
    settings: IdentitySettings, service: Service, platform: Platform
) -> AsyncIterator[AsyncClient]:
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, service)
    hooks = through_gateway(platform.gateway_proof("identity"))
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://identity", event_hooks=hooks
    ) as opened:
        yield opened


class Person:
    """Somebody with an account, as the app sees them."""

    def __init__(self, client: AsyncClient, email: str = "ada@example.org") -> None:
        self.client = client
        self.email = email
        self.user_id = ""
        self.tokens: dict[str, str] = {}

    async def register(self) -> "Person":
        answer = await self.client.post(
            "/api/v1/auth/register", json={"email": self.email, "password": PASSWORD}
        )
        assert answer.status_code == 201, answer.text
        self.user_id = answer.json()["id"]
        return self

    async def log_in(self) -> dict[str, str]:
        answer = await self.client.post(
            "/api/v1/auth/login/json", json={"email": self.email, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        return self.tokens

    async def refresh(self, token: str):
        return await self.client.post("/api/v1/auth/refresh", json={"refresh_token": token})

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


@pytest.fixture
async def ada(client: AsyncClient) -> Person:
    """Return a person who has registered and signed in."""
    person = await Person(client).register()
    await person.log_in()
    return person


@pytest.fixture
def events(service: Service):
    """Return a function that lists the types of the events written so far, in order."""

    async def _events() -> list[str]:
        async with service.unit_of_work() as uow:
            outbox = uow.tables.outbox
            return list((await uow.session.scalars(select(outbox.c.type).order_by(outbox.c.position))).all())

    return _events


@pytest.fixture
def deliver(service: Service):
    """Return a function that lets identity hear of an event, once."""
    consumers = IDENTITY.create_worker(service).work.consumers

    async def _deliver(event: Event) -> None:
        body = wrap(event, event_id=new_id(), time=service.clock.now(), traceparent=None).to_json()
        (hears,) = (it for it in consumers if any(known.of_type(event.type) for known in it.handlers))
        assert await Inbound(service.database, hears).process(body) is Outcome.DONE

    return _deliver


@pytest.fixture
async def deletion(client: AsyncClient, ada: Person) -> dict[str, str]:
    """Return the answer to ada's request to be erased."""
    answer = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def report(service: Service, deletion: dict[str, str], deliver):
    """Return a function that lets a participant report that it has erased ada."""

    async def _report(
        participant: str,
        regimes: tuple[str, ...] = (),
        key_providers: tuple[str, ...] = (),
        **erased: int,
    ) -> None:
        said = ErasureReported.by(participant)
        erasure_id, now = UUID(deletion["erasure_id"]), service.clock.now()
        await deliver(
            said.of(
                erasure_id,
                completed_at=now,
                erased=erased,
                regimes=regimes,
                key_providers=key_providers,
            )
        )

    return _report


@pytest.fixture
def statements(service):
    """Return the statements that were sent so far; transactions are not counted."""
    sent: list[str] = []
    engine = service.database.engine.sync_engine

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def service_headers(platform: Platform):
    """Return a function that makes the headers of a call from one service to another."""

    def _headers(caller: str, audience: str) -> dict[str, str]:
        values = platform.environment(caller)
        tokens = ServiceTokens(
            caller,
            private_key=values[f"{caller.upper()}_SERVICE_KEY"].replace("\\n", "\n"),
            public_keys={},
        )
        return {"Authorization": f"Bearer {tokens.issue(audience)}"}

    return _headers


@pytest.fixture
def gateway_headers(service_headers) -> dict[str, str]:
    """Return the headers of the gateway's calls to identity."""
    return service_headers("gateway", "identity")


class Mailbox:
    """A real SMTP server that keeps what it is given, and can be told to refuse."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answer = "250 OK"
        self.port = 0

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802 - the library's name
        if self.answer.startswith("250"):
            self.messages.append(message_from_bytes(envelope.content, policy=default))
        return self.answer

    def link(self, number: int = -1) -> str:
        """Return the link in a mail's text."""
        text = self.messages[number].get_body(("plain",)).get_content()
        return re.search(r"https?://\S+", text).group()

    def token(self, number: int = -1) -> str:
        return self.link(number).partition("#token=")[2]


@pytest.fixture
def mailbox(settings: IdentitySettings) -> Iterator[Mailbox]:
    handler = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        handler.port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


@pytest.fixture
def post_office(service: Service, mailbox: Mailbox):
    """Return a function that sends every mail that is due, one after the other."""
    sender = replace(service.mail_sender, transport=SmtpTransport(f"smtp://127.0.0.1:{mailbox.port}"))
    delivery = MailDelivery(service.database, sender, service.limits, outage=timedelta(minutes=5))

    async def _send_all() -> list[str]:
        while await delivery.work_once(limit=1):
            pass
        return [str(message["Subject"]) for message in mailbox.messages]

    return _send_all
