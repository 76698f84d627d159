"""Mails leave one by one: what one recipient or one slow server does keeps no other mail waiting."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from inspect import isawaitable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.ids import new_id
from identity.mail.transport import MailServerUnavailable, SmtpTransport
from identity.use_cases.mail.send_mail import GIVE_UP_AFTER, MailDelivery
from support import eventually

AUTH = "/api/v1/auth"
INSERT_USER = text(
    """
    INSERT INTO identity.users
        (id, email, email_key, auth_provider, is_active, is_verified, created_at, updated_at)
    VALUES (:id, :email, :email, 'email', true, false, :now, :now)
    """
)
INSERT_MAIL = text(
    "INSERT INTO identity.mails (id, user_id, kind, requested_at) VALUES (:id, :user_id, :kind, :now)"
)


class Server:
    """A mail server of our own making: it answers as slowly, or as badly, as it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.pause = 0.0
        self.pause_at_the_end = 0.0
        self.talks: set[asyncio.Task[None]] = set()
        self.answers: dict[str, str] = {}
        self.to_recipient: Callable[[str], str] = lambda _: "250 ok"
        self.taken: list[tuple[str, str]] = []
        self.tried: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak SMTP until the client leaves."""
        recipient = ""
        self.talks.add(asyncio.current_task())
        try:
            await self._say(writer, self.answers.get("CONNECT", "220 mail"))
            while line := (await reader.readline()).decode().strip():
                verb = line.split()[0].upper()
                answer = self.answers.get(verb, "250 ok")
                if verb == "RCPT":
                    recipient = line.partition("<")[2].partition(">")[0]
                    self.tried.append(recipient)
                    answer = self.to_recipient(recipient)
                elif verb == "DATA":
                    await self._say(writer, "354 go on")
                    body = (await reader.readuntil(b"\r\n.\r\n")).decode()
                    if answer.startswith("250"):
                        self.taken.append((recipient, body))
                    await asyncio.sleep(self.pause_at_the_end)
                elif verb == "QUIT":
                    answer = "221 bye"
                await self._say(writer, answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, answer: str) -> None:
        await asyncio.sleep(self.pause)
        writer.write(f"{answer}\r\n".encode())
        await writer.drain()

    def mail_to(self, recipient: str) -> str:
        """Return the one mail that a recipient got."""
        (body,) = [body for to, body in self.taken if to == recipient]
        return body


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    if made.talks:
        await asyncio.wait(made.talks, timeout=10)


@pytest.fixture
def delivery(service, server: Server):
    """Return a function that opens the worker's part that sends mails through `server`."""

    def _delivery(**options) -> MailDelivery:
        transport = SmtpTransport(f"smtp://127.0.0.1:{server.port}", **options)
        sender = replace(service.mail_sender, transport=transport)
        return MailDelivery(service.database, sender, service.limits, outage=timedelta(minutes=5))

    return _delivery


async def until(condition: Callable[[], Any], *, within: float) -> None:
    """Wait until the condition, or what it awaits, holds."""

    async def holds() -> None:
        held = condition()
        assert (await held) if isawaitable(held) else held

    await eventually(holds, seconds=within)


@asynccontextmanager
async def running(part: MailDelivery) -> AsyncIterator[None]:
    """Run a part of the worker for the time of a block."""
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def ask(service):
    """Return a function that asks for a mail to somebody new, and returns the mail's id."""

    async def _ask(address: str, kind: str = "verify_address") -> UUID:
        mail_id, user_id, now = new_id(), new_id(), service.clock.now()
        async with service.unit_of_work() as uow:
            await uow.session.execute(INSERT_USER, {"id": user_id, "email": address, "now": now})
            values = {"id": mail_id, "user_id": user_id, "kind": kind, "now": now}
            await uow.session.execute(INSERT_MAIL, values)
            uow.wake("mails")
        return mail_id

    return _ask


@pytest.fixture
def state(service):
    """Return a function that reads of a mail whether it was settled, refused, and how often it failed."""

    async def _state(mail_id: UUID) -> tuple[bool, bool, int]:
        query = text("SELECT settled_at IS NOT NULL, refused, attempts FROM identity.mails WHERE id = :id")
        async with service.unit_of_work() as uow:
            return tuple((await uow.session.execute(query, {"id": mail_id})).one())

    return _state


async def test_twenty_mails_that_can_not_be_sent_keep_no_other_waiting(server, delivery, ask, state):
    unsendable = [await ask(f"jöran{number}@example.org") for number in range(10)]
    unsendable += [await ask(f"a b{number}@example.org\n") for number in range(5)]
    unsendable += [await ask(f"ada@xn--{number}-.example..") for number in range(5)]
    server.to_recipient = lambda address: "250 ok" if address == "bob@example.org" else "553 no such form"
    async with running(delivery()):
        began = time.monotonic()
        await ask("bob@example.org")
        await until(lambda: server.taken, within=5)
        assert time.monotonic() - began < 2
        await until(lambda: all_settled(state, unsendable), within=10)


async def all_settled(state, mails) -> bool:
    return all([(await state(mail))[:2] == (True, True) for mail in mails])


async def test_recipients_that_are_put_off_keep_no_other_waiting(server, delivery, ask, state):
    server.to_recipient = lambda address: "451 later" if "greylisted" in address else "250 ok"
    put_off = [await ask(f"greylisted{number}@example.org") for number in range(16)]
    async with running(delivery()):
        await ask("bob@example.org")
        began = time.monotonic()
        await until(lambda: server.taken, within=5)
        assert time.monotonic() - began < 2
        await until(lambda: len(server.tried) == 17, within=5)
    # Each was tried once and waits by itself.
    assert [await state(mail) for mail in put_off] == [(False, False, 1)] * 16


async def test_a_server_that_takes_twelve_seconds_gets_a_mail_once_and_its_link_works(
    client, ada, server, delivery, state, service
):
    server.pause = 2.4
    async with running(delivery()):
        await until(lambda: server.taken, within=25)
        await until(lambda: nothing_waits(service), within=10)
    assert len(server.taken) == 1
    token = re.search(r"#token=([\w-]+)", server.mail_to(ada.email).replace("=\r\n", "").replace("=3D", "="))[
        1
    ]
    assert (await client.post(f"{AUTH}/verify-email", json={"token": token})).status_code == 200


async def nothing_waits(service) -> bool:
    async with service.unit_of_work() as uow:
        return await uow.session.scalar(
            text("SELECT count(*) = 0 FROM identity.mails WHERE settled_at IS NULL")
        )


async def test_a_doubtful_mail_is_sent_again_as_the_same_message_and_both_links_work(
    client, ada, server, delivery, service
):
    server.pause_at_the_end = 3.0
    await delivery(seconds=2.0).work_once()
    assert len(server.taken) == 1
    assert not await nothing_waits(service)
    server.pause_at_the_end = 0
    async with service.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE identity.mails SET next_attempt_at = now()"))
    await delivery().work_once()
    bodies = [body.replace("=\r\n", "").replace("=3D", "=") for _, body in server.taken]
    assert len(bodies) == 2
    assert len({re.search(r"Message-ID: (\S+)", body)[1] for body in bodies}) == 1
    first, second = (re.search(r"#token=([\w-]+)", body)[1] for body in bodies)
    async with service.unit_of_work() as uow:
        assert await uow.session.scalar(text("SELECT count(*) FROM identity.mail_tokens")) == 2
    assert first != second
    assert (await client.post(f"{AUTH}/verify-email", json={"token": first})).status_code == 200


async def test_sign_ups_while_a_mail_takes_long_hold_no_connection(client, server, delivery, ask, service):
    server.pause = 1.5
    for number in range(40):
        await ask(f"slow{number}@example.org")
    async with running(delivery()):
        await until(lambda: len(server.tried) >= 8, within=20)
        assert service.database.engine.pool.checkedout() <= 1
        answer = await client.post(
            f"{AUTH}/register", json={"email": "bob@example.org", "password": "correct horse battery staple"}
        )
        assert answer.status_code == 201


async def test_more_than_a_thousand_failures_are_one_more(server, delivery, ask, state, service):
    server.to_recipient = lambda _: "451 later"
    mail = await ask("ada@example.org")
    async with service.unit_of_work() as uow:
        await uow.session.execute(text("UPDATE identity.mails SET attempts = 1100"))
    assert await delivery().work_once() == 1
    assert await state(mail) == (False, False, 1101)


async def test_a_mail_that_was_put_off_for_a_day_is_given_up(server, delivery, ask, state, clock):
    server.to_recipient = lambda _: "451 later"
    mail = await ask("ada@example.org")
    clock.advance(GIVE_UP_AFTER + timedelta(seconds=1))
    await delivery().work_once()
    assert await state(mail) == (True, True, 0)


@pytest.mark.parametrize(
    "answers",
    [{"CONNECT": "421 busy"}, {"EHLO": "550 no", "HELO": "550 no"}, {"MAIL": "452 full"}, {"RCPT": "421"}],
)
async def test_a_server_that_takes_nothing_holds_all_mails_and_counts_none(
    server, delivery, ask, state, answers
):
    server.answers = answers
    if "RCPT" in answers:
        server.to_recipient = lambda _: "421 going away"
    mail = await ask("ada@example.org")
    part = delivery()
    async with running(part):
        await until(lambda: part._unavailable_since is not None, within=5)
        server.answers, server.to_recipient = {}, lambda _: "250 ok"
        await until(lambda: server.taken, within=10)
        await until(lambda: all_sent(state, mail), within=5)
    assert (await state(mail))[2] == 0


async def all_sent(state, mail) -> bool:
    return (await state(mail))[:2] == (True, False)


async def test_health_tells_how_old_the_oldest_mail_is_and_fails_without_a_server(service, ask):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sender = replace(service.mail_sender, transport=SmtpTransport(f"smtp://127.0.0.1:{port}"))
    part = MailDelivery(service.database, sender, service.limits, outage=timedelta(0))
    assert await part.check() is None
    await ask("ada@example.org")
    assert (await part.check()).startswith("1 waiting, the oldest for ")
    async with running(part):
        await until(lambda: part._unavailable_since is not None, within=5)
        with pytest.raises(MailServerUnavailable):
            await part.check()


async def test_the_last_mail_lets_the_erasure_begin(client, ada, service, server, delivery):
    deleted = await client.request("DELETE", "/api/v1/users/me", json={"confirm": True}, headers=ada.bearer)
    task = text(
        """
        INSERT INTO identity.erasure_tasks (erasure_id, user_id, requested_at, deadline, next_attempt_at)
        VALUES (:id, :user_id, now(), now(), now() + interval '1 hour')
        """
    )
    async with service.unit_of_work() as uow:
        await uow.session.execute(
            task, {"id": UUID(deleted.json()["erasure_id"]), "user_id": UUID(ada.user_id)}
        )
    while await delivery().work_once():
        pass
    async with service.unit_of_work() as uow:
        due = text("SELECT next_attempt_at <= clock_timestamp() FROM identity.erasure_tasks")
        assert await uow.session.scalar(due)


async def test_a_mailbox_gets_three_mails_a_day_that_it_did_not_ask_for(client, ada, mailbox, post_office):
    await post_office()
    people = [await type(ada)(client, f"person{number}@example.org").register() for number in range(5)]
    for person in people:
        await person.log_in()
        answer = await client.patch(
            "/api/v1/users/me", json={"email": "stranger@example.org"}, headers=person.bearer
        )
        assert answer.status_code == 200
        await post_office()

    def got() -> list[str]:
        mine = [mail for mail in mailbox.messages if mail["To"] == "stranger@example.org"]
        return [str(mail["Subject"]) for mail in mine]

    assert got() == ["Confirm your new address"] * 3
    stranger = await type(ada)(client, "stranger@example.org").register()
    await stranger.log_in()
    await post_office()
    assert got()[3:] == ["Confirm your address"]
    answer = await client.post(f"{AUTH}/resend-verification", headers=stranger.bearer)
    assert answer.status_code == 202
    await post_office()
    assert len(got()) == 4


async def test_a_mail_that_waits_for_the_server_is_counted_once(server, delivery, ask, state):
    server.to_recipient = lambda _: "421 going away"
    mail = await ask("ada@example.org")
    part = delivery()
    async with running(part):
        await until(lambda: len(server.tried) > 3, within=10)
        server.to_recipient = lambda _: "250 ok"
        await until(lambda: all_sent(state, mail), within=10)
