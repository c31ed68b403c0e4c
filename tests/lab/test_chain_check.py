"""CHECK MESSAGE on a real kernel (draft 3.4.2): a probe, with a limit, for ever; over messages and sockets at once."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trio
import trio.testing

import trimif
from trimif import AnnounceInterfaces, Connected, ConnectToAddress, InterfaceAnnouncement, Subscriber
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import SECONDS, open_program, seen

pytestmark = pytest.mark.lab

ECHO = ("2001:db8:ff::80", 85)


@asynccontextmanager
async def open_subscriber(mif: trimif.Mif) -> AsyncIterator[Subscriber]:
    """A subscriber that has heard of the interfaces, and to which nothing more happens by itself."""
    async with mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        for _ in range(4):
            assert isinstance(subscriber.receive_nowait(), InterfaceAnnouncement)
        yield subscriber


async def test_of_a_subscriber(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif, open_subscriber(mif) as subscriber:
        with pytest.raises(trio.WouldBlock):
            subscriber.check_nowait()
        with trio.move_on_after(0.05) as limit:
            await subscriber.check()
        assert limit.cancelled_caught

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(subscriber.check)
                await trio.testing.wait_all_tasks_blocked()
                lab.set_link("vpn0", up=False)
        await subscriber.check()  # nothing was consumed
        subscriber.check_nowait()
        message = subscriber.receive_nowait()
        assert isinstance(message, InterfaceAnnouncement)
        assert message.name == "vpn0"


async def test_of_the_stream_of_a_connected(lab: Lab, on_host: Namespace) -> None:
    """The draft's token: what Connect gives is checked as any communications API is."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        program.post(ConnectToAddress(await program.domain("up-a/ipv6"), ip_address(ECHO[0]), ECHO[1], 1))
        connected = await program.until(Connected, connection_id=1)
        async with connected.stream as stream:
            for source in (stream, stream.socket):
                with pytest.raises(trio.WouldBlock):
                    trimif.check_nowait(source)
                with trio.move_on_after(0.02) as limit:
                    await trimif.check(source)
                assert limit.cancelled_caught
                with trio.fail_after(SECONDS):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(trimif.check, source)
                        await trio.testing.wait_all_tasks_blocked()
                        await stream.send_all(b"!")
                    assert await trimif.check(source) == {source} == trimif.check_nowait(source)
                    assert await stream.receive_some() == b"!"


async def test_of_a_listener(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif, open_program(mif) as program, listening() as listener:
        with pytest.raises(trio.WouldBlock):
            trimif.check_nowait(listener)
        port = listener.socket.getsockname()[1]
        program.post(ConnectToAddress(await program.domain("lo/ipv6"), ip_address("::1"), port, 1))
        with trio.fail_after(SECONDS):
            assert await trimif.check(listener) == {listener}
            async with await listener.accept():
                connected = await program.until(Connected, connection_id=1)
                await connected.stream.aclose()


@asynccontextmanager
async def listening() -> AsyncIterator[trio.SocketListener]:
    plain = socket.create_server(("::1", 0), family=socket.AF_INET6)
    async with trio.SocketListener(trio.socket.from_stdlib_socket(plain)) as listener:
        yield listener


async def test_of_everything_at_once(lab: Lab, on_host: Namespace) -> None:
    async with (
        trimif.open_mif() as mif,
        open_subscriber(mif) as subscriber,
        open_program(mif) as program,
        listening() as listener,
    ):
        program.post(ConnectToAddress(await program.domain("up-a/ipv6"), ip_address(ECHO[0]), ECHO[1], 1))
        connected = await program.until(Connected, connection_id=1)
        with trio.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
            await datagrams.bind(("::1", 0))
            async with connected.stream as stream:
                everything = (subscriber, stream, listener, datagrams)
                with pytest.raises(trio.WouldBlock):
                    trimif.check_nowait(*everything)
                with trio.move_on_after(0.02) as limit:
                    await trimif.check(*everything)
                assert limit.cancelled_caught

                with trio.fail_after(SECONDS):
                    await stream.send_all(b"!")
                    assert await trimif.check(*everything) == {stream}
                    lab.set_link("vpn0", up=False)
                    await seen(lambda: trimif.check_nowait(*everything) == {stream, subscriber})
                    await datagrams.sendto(b"!", datagrams.getsockname())
                    async with await trio.open_tcp_stream("::1", listener.socket.getsockname()[1]):
                        await seen(lambda: trimif.check_nowait(*everything) == set(everything))
                        (await listener.accept()).socket.close()
                assert trimif.check_nowait(*everything) == {stream, subscriber, datagrams}
