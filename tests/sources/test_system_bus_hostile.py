"""The system bus when what listens there is no bus, or one that hangs; addresses; and messages of any kind."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from jeepney import DBusAddress, new_method_call, new_method_return, new_signal  # type: ignore[import-untyped,unused-ignore]
from jeepney.low_level import Parser  # type: ignore[import-untyped,unused-ignore]

from trimif._errors import MalformedInput
from trimif._sources import _system_bus
from trimif._sources._system_bus import BusGone, BusUnusable, SignalsLost, SystemBus, open_system_bus
from trimif._sources._system_bus_connect import DEFAULT_PATHS, _paths
from trimif._sources._system_bus_messages import MESSAGE_OCTETS, Decoder, encode_call

Serve = Callable[[trio.SocketStream], Awaitable[None]]
BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"


@asynccontextmanager
async def listening(path: Path, serve: Serve) -> AsyncIterator[str]:
    """Something at a socket that is no bus; its address."""
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(str(path))
        listener.listen()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def accept() -> None:
                while True:
                    accepted, _ = await listener.accept()
                    nursery.start_soon(handle, trio.SocketStream(accepted))

            async def handle(stream: trio.SocketStream) -> None:
                async with stream:
                    await serve(stream)

            yield f"unix:path={path}"
            nursery.cancel_scope.cancel()


async def authenticate(stream: trio.SocketStream) -> None:
    assert (await stream.receive_some()).startswith(b"\0AUTH EXTERNAL ")
    await stream.send_all(b"OK 1234deadbeef\r\n")


async def greet(stream: trio.SocketStream) -> None:
    """Take a client in, as a bus does."""
    await authenticate(stream)
    said = b""
    while len(said) < 16:
        said += (await stream.receive_some()).removeprefix(b"BEGIN\r\n")
    await answer(stream, said, "s", (":1.1",))


async def answer(stream: trio.SocketStream, call: bytes, signature: str, body: tuple[Any, ...]) -> None:
    (message,) = Parser().feed(call)
    await stream.send_all(new_method_return(message, signature, body).serialise(1))


# ---------------------------------------------------------------- something that is no bus


async def test_a_bus_that_hangs(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with listening(tmp_path / "bus", hang) as address:
        with pytest.raises(BusGone, match="does not answer"):
            async with open_system_bus(address):
                pass
        assert trio.current_time() >= _system_bus.REPLY_SECONDS


async def test_cancelled_while_it_authenticates_the_socket_is_closed(tmp_path: Path) -> None:
    ended = trio.Event()

    async def hang(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass
        ended.set()

    async with listening(tmp_path / "bus", hang) as address:
        with trio.move_on_after(0.05):
            async with open_system_bus(address):
                pass
        with trio.fail_after(1):
            await ended.wait()


@pytest.mark.parametrize("said", [b"REJECTED EXTERNAL\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 10_000])
async def test_a_bus_that_does_not_let_us_in(tmp_path: Path, said: bytes) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(said)

    async with listening(tmp_path / "bus", refuse) as address:
        with pytest.raises(BusUnusable) as caught:
            async with open_system_bus(address):
                pass
        assert caught.value.remedy == "allow this user in the configuration of the bus"


@pytest.mark.parametrize("said", [b"", b"GARBAGE, and enough of it\r\n", b"l\1\0\1" + b"\xff" * 12])
async def test_a_bus_that_speaks_something_else(tmp_path: Path, said: bytes) -> None:
    async def babble(stream: trio.SocketStream) -> None:
        await authenticate(stream)
        await stream.receive_some()
        await stream.send_all(said)
        await stream.aclose()

    async with listening(tmp_path / "bus", babble) as address:
        with pytest.raises(BusGone):
            async with open_system_bus(address):
                pass


async def test_a_message_that_cannot_be_read_may_have_been_a_signal(tmp_path: Path) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await greet(stream)
        for _ in range(3):  # two match rules, and the owner
            await answer(stream, await stream.receive_some(), "s", (":1.2",))
        signal = bytearray(new_signal(DBusAddress("/a", interface="a.b"), "C", "s", ("x",)).serialise(7))
        signal[1] = 99  # no type of message
        await stream.send_all(signal)
        await trio.sleep_forever()

    async with listening(tmp_path / "bus", serve) as address, open_system_bus(address) as bus:
        async with bus.signals(sender="a.b") as channel:
            assert await channel.receive() == SignalsLost()


async def test_a_bus_that_reads_slowly_gets_whole_messages_though_calls_are_cancelled(tmp_path: Path) -> None:
    calls: list[object] = []
    long = "x" * 100_000

    async def serve(stream: trio.SocketStream) -> None:
        await greet(stream)
        parser = Parser()
        await read_on.wait()
        while True:
            for message in parser.feed(await stream.receive_some()):
                calls.append(message.body)
                await answer(stream, message.serialise(message.header.serial), "s", ("done",))

    read_on = trio.Event()
    async with listening(tmp_path / "bus", serve) as address, open_system_bus(address) as bus:
        for _ in range(5):
            with trio.move_on_after(0.01):
                await call(bus, long)
        read_on.set()
        assert await call(bus, "short") == ("done",)
        assert calls == [(long,)] * 5 + [("short",)]


async def call(bus: SystemBus, text: str) -> tuple[Any, ...]:
    return await bus.call(BUS, BUS_PATH, BUS, "Do", "s", (text,))


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "paths"),
    [
        ("", list(DEFAULT_PATHS)),
        ("unix:path=/run/a%20b,guid=00", ["/run/a b"]),
        ("unix:abstract=/tmp/x", ["\0/tmp/x"]),
        ("tcp:host=localhost,port=1;unix:path=/x;unix:path=/y", ["/x", "/y"]),
    ],
)
def test_addresses(address: str, paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    assert _paths(None) == paths


@pytest.mark.parametrize("address", ["tcp:host=localhost,port=1", "nonsense", ";;", "unix:", "unix:tmpdir=/tmp"])
def test_addresses_that_are_no_socket(address: str) -> None:
    with pytest.raises(BusUnusable, match="no Unix socket"):
        _paths(address)


@pytest.mark.parametrize("path", ["/" + "x" * 200, "/nul%00l"])
async def test_addresses_that_are_no_path(path: str) -> None:
    with pytest.raises((BusGone, BusUnusable)):
        async with open_system_bus(f"unix:path={path}"):
            pass


# ---------------------------------------------------------------- messages


def test_variants_are_replaced_by_what_they_hold() -> None:
    body = (
        {"a": ("s", "text"), "b": ("v", ("u", 7)), "c": ("(sv)", ("k", ("ay", b"\1\2")))},
        ("s", "looks like a variant"),
        [("i", -1), ("as", ["x", "y"])],
        [{"dest": ("s", "::"), "prefix": ("u", 0)}],
    )
    octets = new_signal(DBusAddress("/a", interface="a.b"), "C", "a{sv}(ss)avaa{sv}", body).serialise(1)
    (message,) = Decoder().feed(octets)
    assert message is not None
    assert message.body == (
        {"a": "text", "b": 7, "c": ("k", b"\1\2")},
        ("s", "looks like a variant"),
        [-1, ["x", "y"]],
        [{"dest": "::", "prefix": 0}],
    )


def test_a_call_never_starts_a_daemon() -> None:
    (call,) = Parser().feed(encode_call(1, "a.b", "/", "a.b", "C", "s", ("x",)))
    assert call.header.flags == 2  # NO_AUTO_START
    (call,) = Parser().feed(encode_call(1, "a.b", "/", "a.b", "C", reply=False))
    assert call.header.flags == 3  # and NO_REPLY_EXPECTED


def test_messages_in_pieces() -> None:
    octets = b"".join(new_signal(DBusAddress("/a", interface="a.b"), "C", "u", (n,)).serialise(1) for n in range(3))
    decoder = Decoder()
    read = [message for each in octets for message in decoder.feed(bytes([each]))]
    assert [message.body for message in read if message is not None] == [(0,), (1,), (2,)]


@pytest.mark.parametrize("length", [MESSAGE_OCTETS, 0xFFFFFFFF])
def test_a_message_that_is_too_long(length: int) -> None:
    with pytest.raises(MalformedInput, match="a message of"):
        list(Decoder().feed(struct.pack("<BBBBIII", ord("l"), 4, 0, 1, length, 1, 0)))


SAMPLE = new_method_call(
    DBusAddress("/a/b", "a.b", "a.b"), "C", "a{sv}", ({"k": ("(sv)", ("x", ("u", 1)))},)
).serialise(1)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)))
def test_any_octets(noise: bytes | tuple[int, int]) -> None:
    octets = noise if isinstance(noise, bytes) else SAMPLE[: noise[0]] + bytes([noise[1]]) + SAMPLE[noise[0] + 1 :]
    with suppress(MalformedInput):
        list(Decoder().feed(octets))
