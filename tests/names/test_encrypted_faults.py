"""Encrypted name servers that misbehave, and clients that are cancelled: no hang, no socket, no belief in forgeries."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count

import pytest
import trio
import trio.testing

from trimif._names._question import Addresses, ServerFailed
from trimif._names._tls import MOST_UNSENT_OCTETS, TlsFailed

from .encrypted_world import HERE, PROTOCOLS, RIGHT, no_malformed, no_socket_left, open_session, open_world, question

BROKEN = "closed the connection|reset by peer|eof occurred"


@pytest.fixture(autouse=True)
def _no_socket_left() -> Iterator[None]:
    with no_socket_left():
        yield


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("drip", RIGHT),
        ("servfail", ServerFailed("SERVFAIL")),
        ("empty", Addresses(())),
        ("truncated", RIGHT),
        ("wrongquestion", ServerFailed("no answer to the question")),
        ("query", ServerFailed("no answer to the question")),
    ],
)
async def test_messages(protocol: str, name: str, reply: object) -> None:
    """What follows a forgery is not waited for: who forges by TLS is the server."""
    async with open_world(protocol) as world:
        assert await world.ask(name) == reply
        assert await world.ask("a") == RIGHT
        assert world.malformed == []


async def test_messages_that_are_none() -> None:
    async with open_world() as world:
        assert await world.ask("garbage") == ServerFailed("no answer to the question")
        assert len(world.malformed) == 1
        assert await world.ask("a") == RIGHT
        assert world.service.connections == ["dot"]


@pytest.mark.parametrize("number", [1, 60])
async def test_answers_that_nobody_asked_for(number: int) -> None:
    async with open_world() as world:
        assert await world.ask(f"unasked-{number}") in (RIGHT, ServerFailed("no answer to the question"))
        assert world.service.connections == ["dot"]


async def test_very_many_answers_that_nobody_asked_for() -> None:
    async with open_world() as world:
        with pytest.raises(ConnectionError, match="what nobody asked"):
            await world.ask("unasked-1000")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["close", "half"])
async def test_breaking_off(protocol: str, name: str) -> None:
    """Everyone who waits is told; the next question finds a new connection."""
    async with open_world(protocol) as world, trio.open_nursery() as nursery:

        async def ask(name: str) -> None:
            with pytest.raises(ConnectionError, match=BROKEN):
                await world.ask(name)

        if protocol != "http/1.1":
            nursery.start_soon(ask, "drop")
            nursery.start_soon(ask, "drop")
            await trio.testing.wait_all_tasks_blocked(0.05)
        await ask(name)
        assert await world.ask("a") == RIGHT


@pytest.mark.parametrize(("protocol", "why"), [("h2", "no HTTP/2"), ("http/1.1", "no HTTP")])
async def test_noise(protocol: str, why: str) -> None:
    async with open_world(protocol) as world:
        with pytest.raises(ConnectionError, match=why):
            await world.ask("noise")
        assert await world.ask("a") == RIGHT


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("status-500", "HTTP status 500"),
        ("status-302", "HTTP status 302"),
        ("status-404", "HTTP status 404"),
        ("mediatype", "media type 'text/html'"),
        ("oversized", "too large for a DNS message"),
    ],
)
async def test_responses(protocol: str, name: str, why: str) -> None:
    async with open_world(protocol) as world:
        assert await world.ask(name) == ServerFailed(why)
        assert await world.ask("a") == RIGHT
        assert protocol == "http/1.1" or world.service.connections == ["h2"]


async def test_streams_that_are_reset_and_connections_that_are_ended() -> None:
    async with open_world("h2") as world:
        assert await world.ask("reset") == ServerFailed("the server reset the stream")
        with pytest.raises(ConnectionError, match="GOAWAY"):
            await world.ask("goaway")
        assert await world.ask("a") == RIGHT
        assert world.service.connections == ["h2", "h2"]


# ------------------------------------------------------------------ servers that don't get as far as TLS


async def _silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _hang_up(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.aclose()


async def _plain(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("serve", "failure", "why"),
    [(_silent, TimeoutError, "no TLS in time"), (_hang_up, TlsFailed, BROKEN), (_plain, TlsFailed, "wrong version")],
)
async def test_no_tls(
    serve: Callable[[trio.SocketStream], Awaitable[None]],
    failure: type[OSError],
    why: str,
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
) -> None:
    autojump_clock.autojump_threshold = 0.1
    [listener] = await trio.open_tcp_listeners(0, host=str(HERE))
    nursery.start_soon(trio.serve_listeners, serve, [listener])
    session = open_session(listener.socket.getsockname()[1])
    with pytest.raises(failure, match=why):
        await session.ask(question("a"), no_malformed)
    nursery.cancel_scope.cancel()


async def test_closed_while_it_opens(nursery: trio.Nursery) -> None:
    [listener] = await trio.open_tcp_listeners(0, host=str(HERE))
    nursery.start_soon(trio.serve_listeners, _silent, [listener])
    port = listener.socket.getsockname()[1]
    session = open_session(port)

    async def ask() -> None:
        with pytest.raises(ConnectionAbortedError, match="the session is closed"):
            await session.ask(question("a"), no_malformed)

    async with trio.open_nursery() as asking:
        for _ in range(3):
            asking.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked(0.02)
        session.close()
    assert clients_of(port) == 0
    nursery.cancel_scope.cancel()


async def test_nobody_listens() -> None:
    async with open_world() as world:
        session = open_session(world.port + 1 if world.port < 65535 else 1)
        with pytest.raises(OSError, match="refused"):
            await session.ask(question("a"), no_malformed)


async def test_the_next_address_is_tried(nursery: trio.Nursery) -> None:
    """One refuses, as nobody listens there."""
    async with open_world() as world:
        session = open_session(world.port, addresses=(type(HERE)("127.0.0.2"), HERE))
        assert await session.ask(question("a"), no_malformed) == RIGHT
        session.close()


async def test_one_that_does_not_read_is_given_up(nursery: trio.Nursery) -> None:
    """What it makes us say does not fill our memory."""
    async with open_world() as world:
        await world.ask("a")
        connection = world.session._connection
        assert connection is not None
        for tls in world.service.open:
            tls.transport_stream.socket.shutdown(trio.socket.SHUT_RD)
        with pytest.raises(OSError):  # noqa: PT011 - reset, or not read
            for _ in range(100):
                connection._tls.write(bytes(MOST_UNSENT_OCTETS))


# ------------------------------------------------------------------ cancelled


class Cancelling(trio.abc.Instrument):
    """Cancels a scope when a task is about to run for the n-th time."""

    def __init__(self, scope: trio.CancelScope, number: int) -> None:
        self._scope, self._left, self._task = scope, number, trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


async def cancelled_at(number: int, what: Callable[[], Awaitable[object]]) -> bool:
    """Run it and cancel it at its n-th step; False if it had fewer."""
    with trio.CancelScope() as scope:
        instrument = Cancelling(scope, number)
        trio.lowlevel.add_instrument(instrument)
        try:
            await what()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return scope.cancelled_caught


def clients_of(port: int) -> int:
    """How many sockets of this process are connected, or connecting, to a server on loopback."""
    found = 0
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # of which one is the directory itself, and others are not connected
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as copy:
                    found += copy.getpeername()[1:2] == (port,)
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_cancelled_at_every_step_while_it_opens(protocol: str) -> None:
    async with open_world(protocol) as world:
        for number in count(1):
            session = open_session(world.port, protocol)
            cancelled = await cancelled_at(number, partial(session.ask, question("a"), no_malformed))
            assert clients_of(world.port) <= (0 if session._connection is None else 1)
            session.close()
            assert clients_of(world.port) == 0
            if not cancelled:
                break
        assert number > 5


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_cancelled_at_every_step_while_others_wait(protocol: str) -> None:
    """The others get their answers; where questions share a connection, over the same one."""
    replies: list[object] = []
    async with open_world(protocol) as world:

        async def ask() -> None:
            replies.append(await world.ask("late-5"))

        await world.ask("a")
        for number in count(1):
            replies.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                cancelled = await cancelled_at(number, partial(world.ask, "late-3"))
                nursery.start_soon(ask)
            assert replies == [RIGHT, RIGHT]
            if not cancelled:
                break
        assert number > 2
        assert protocol == "http/1.1" or world.service.connections == [protocol]


async def test_who_waits_for_the_connection_takes_over() -> None:
    async with open_world() as world, trio.open_nursery() as nursery:
        replies: list[object] = []

        async def ask() -> None:
            replies.append(await world.ask("a"))

        async def ask_first() -> None:
            assert await cancelled_at(4, partial(world.ask, "a"))

        nursery.start_soon(ask_first)
        for _ in range(3):
            nursery.start_soon(ask)
    assert replies == [RIGHT] * 3
