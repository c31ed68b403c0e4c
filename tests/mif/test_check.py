"""CHECK MESSAGE as probe, with a limit and for ever, over a subscriber, a socket, a stream, a listener and all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trimif import AnnounceInterfaces, Subscriber, check, check_nowait
from trimif.testing import SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import link


@asynccontextmanager
async def everything() -> AsyncIterator[tuple[SimulatedHost, Subscriber, trio.SocketStream, trio.SocketListener]]:
    """A subscriber, a connection and a listener, all quiet. Only loopback is used."""
    host = SimulatedHost()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with listener, open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            async with await listener.accept() as server:
                host.peers.clear()
                PARTNER[client] = server
                yield host, subscriber, client, listener
                del PARTNER[client]


PARTNER: dict[trio.SocketStream, trio.SocketStream] = {}


async def test_probe() -> None:
    async with everything() as (host, subscriber, stream, listener):
        with pytest.raises(trio.WouldBlock):
            check_nowait(subscriber, stream, listener, stream.socket)
        host.report(link(2, "eth0"))
        assert check_nowait(subscriber, stream, listener) == {subscriber}
        await PARTNER[stream].send_all(b"x")
        await trio.lowlevel.wait_readable(stream.socket)
        assert check_nowait(subscriber, stream, stream.socket, listener) == {subscriber, stream, stream.socket}


async def test_with_a_limit(autojump_clock: trio.testing.MockClock) -> None:
    host = SimulatedHost()
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        began = trio.current_time()
        with trio.move_on_after(3) as limit:
            await check(subscriber)
        assert limit.cancelled_caught
        assert trio.current_time() - began == 3
        host.report(link(2, "eth0"))
        with trio.fail_after(3):
            assert await check(subscriber) == {subscriber}


@pytest.mark.parametrize("what", ["subscriber", "stream", "socket", "listener"])
async def test_for_ever_on_each_and_on_all_at_once(what: str) -> None:
    async with everything() as (host, subscriber, stream, listener):
        sources = {"subscriber": subscriber, "stream": stream, "socket": stream.socket, "listener": listener}
        seen = []

        async def wait(*some: object) -> None:
            seen.append(await check(*some))  # type: ignore[arg-type]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, sources[what])
            await trio.testing.wait_all_tasks_blocked()
            assert not seen
            if what == "subscriber":
                host.report(link(2, "eth0"))
            elif what == "listener":
                async with await trio.open_tcp_stream(*listener.socket.getsockname()):
                    await trio.lowlevel.checkpoint()
            else:
                await PARTNER[stream].send_all(b"x")
        assert seen == [{sources[what]}]
        assert sources[what] in await check(subscriber, stream, listener, stream.socket)


async def test_nothing_is_consumed() -> None:
    async with everything() as (host, subscriber, stream, _listener):
        host.report(link(2, "eth0"))
        await PARTNER[stream].send_all(b"x")
        for _ in range(3):
            assert subscriber in await check(subscriber, stream)
        await trio.lowlevel.wait_readable(stream.socket)
        assert await check(subscriber, stream) == {subscriber, stream}
        await subscriber.receive()
        assert await check(subscriber, stream) == {stream}
        assert await stream.receive_some() == b"x"


async def test_misuse() -> None:
    async with everything() as (_host, subscriber, stream, _listener):
        with pytest.raises(ValueError, match="at least one source"):
            await check()
        with pytest.raises(TypeError, match="'stream' can't be checked"):
            await check("stream")  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await check(subscriber, stream)

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await check(stream)
