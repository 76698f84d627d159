"""The tools that tests rely on: a broken one would make every proof worthless."""

import asyncio
from datetime import UTC, timedelta

import pytest

from support import FrozenClock, eventually
from support.plugin import demanded_events
from support.proxy import FaultyProxy


@pytest.fixture
async def proxy():
    """A proxy before a server that says everything twice."""

    async def echo(reader, writer):
        while data := await reader.read(100):
            writer.write(data + data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultyProxy(*server.sockets[0].getsockname()) as opened:
        yield opened
    server.close()


class Client:
    def __init__(self, proxy):
        self.proxy = proxy

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def say(self, data):
        self.writer.write(data)
        return await self.reader.readexactly(2 * len(data))


async def test_healthy_network_forwards_both_ways(proxy):
    async with Client(proxy) as one, Client(proxy) as other:
        assert await one.say(b"ada") == b"adaada"
        assert await other.say(b"bob") == b"bobbob"


async def test_end_of_a_side_reaches_the_other(proxy):
    async with Client(proxy) as client:
        assert await client.say(b"bye") == b"byebye"
        client.writer.write_eof()
        assert await asyncio.wait_for(client.reader.read(), timeout=2) == b""


async def test_delay_holds_each_direction_and_the_order(proxy):
    async with Client(proxy) as client:
        proxy.delay(0.1)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await client.say(b"slow") == b"slowslow"
        assert 0.2 <= loop.time() - begun < 2


async def test_blackhole_delivers_nothing_until_it_is_healed(proxy):
    async with Client(proxy) as client:
        proxy.blackhole()
        said = asyncio.create_task(client.say(b"lost?"))
        await asyncio.wait([said], timeout=0.1)
        assert not said.done()
        async with Client(proxy) as newcomer:
            also_said = asyncio.create_task(newcomer.say(b"new"))
            await asyncio.wait([also_said], timeout=0.1)
            assert not also_said.done()
            proxy.heal()
            assert await also_said == b"newnew"
        assert await said == b"lost?lost?"


async def test_cut_resets_open_connections_and_lets_new_ones_through(proxy):
    for state in ("open", "in a blackhole"):
        async with Client(proxy) as client:
            await client.say(b"hello")
            if state == "in a blackhole":
                proxy.blackhole()
            proxy.cut()
            proxy.heal()
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.say(b"gone")
        async with Client(proxy) as client:
            assert await client.say(b"back") == b"backback"


async def test_machine_without_a_server_resets_whoever_comes(proxy):
    proxy.cut(refusing=True)
    async with Client(proxy) as client:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.say(b"hello")
    proxy.heal()
    async with Client(proxy) as client:
        assert await client.say(b"back") == b"backback"


async def test_cut_after_a_pattern_delivers_it_and_withholds_the_answer():
    heard = asyncio.Queue()

    async def listen(reader, writer):
        while data := await reader.read(100):
            heard.put_nowait(data)
            writer.write(b"done")
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with FaultyProxy(*server.sockets[0].getsockname()) as proxy:
        proxy.cut_after(b"COMMIT")
        async with Client(proxy) as client:
            client.writer.write(b"BEGIN")
            assert await client.reader.readexactly(4) == b"done"
            client.writer.write(b"COMMIT;")
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.reader.readexactly(4)
        assert [heard.get_nowait(), await asyncio.wait_for(heard.get(), timeout=2)] == [b"BEGIN", b"COMMIT;"]
        async with Client(proxy) as client:
            client.writer.write(b"COMMIT;")
            assert await client.reader.readexactly(4) == b"done"
    server.close()


async def test_blackhole_after_a_pattern_delivers_it_and_holds_the_answer(proxy):
    async with Client(proxy) as client, Client(proxy) as other:
        proxy.blackhole_after(b"PUT")
        assert await client.say(b"hello") == b"hellohello"
        said = asyncio.create_task(client.say(b"PUT"))
        await asyncio.wait([said], timeout=0.1)
        also_said = asyncio.create_task(other.say(b"more"))
        await asyncio.wait([also_said], timeout=0.1)
        assert not said.done()
        assert not also_said.done()
        proxy.heal()
        assert (await said, await also_said) == (b"PUTPUT", b"moremore")


async def test_proxy_before_a_server_that_is_away_resets():
    async with FaultyProxy("127.0.0.1", 1) as proxy, Client(proxy) as client:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.say(b"hello")


async def test_eventually_returns_what_the_check_returns_once_it_holds():
    tries = []

    async def third_time():
        tries.append(1)
        assert len(tries) == 3
        return "done"

    assert await eventually(third_time) == "done"


async def test_eventually_raises_the_last_failure_when_time_is_up():
    async def never():
        raise AssertionError("still not")

    with pytest.raises(AssertionError, match="still not"):
        await eventually(never, seconds=0.1)


async def test_eventually_does_not_hide_other_errors():
    async def broken():
        raise LookupError

    with pytest.raises(LookupError):
        await eventually(broken)


def test_frozen_clock_moves_only_when_it_is_told_to():
    clock = FrozenClock()
    moment = clock.now()
    assert moment.tzinfo is UTC
    assert clock.now() == moment
    clock.advance(timedelta(hours=1))
    assert clock.now() - moment == timedelta(hours=1)


def test_a_run_of_the_whole_suite_asks_for_each_event_that_can_be_published():
    declared = demanded_events()
    assert "identity.user.registered.v1" in declared
    assert "identity.mail.requested.v1" not in declared
