"""The system bus on a real dbus-daemon: calls, properties, signals, and everything that goes wrong."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from jeepney import DBusAddress, new_signal  # type: ignore[import-untyped,unused-ignore]

from trimif._sources import _system_bus
from trimif._sources._system_bus import (
    BusError,
    BusGone,
    BusUnusable,
    OwnerChanged,
    Signal,
    SignalsLost,
    SystemBus,
    open_system_bus,
    wait_system_bus,
)
from trimif._sources._system_bus_signals import SIGNALS
from trimif.testing._lab_bus import PrivateBus
from trimif.testing._namespaces import Namespace

BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
NAME, PATH, INTERFACE = "org.example.Daemon", "/org/example/Daemon", "org.example.Daemon"


@pytest.fixture
def bus(host: Namespace, tmp_path: Path) -> Iterator[PrivateBus]:
    with PrivateBus(host, tmp_path) as bus:
        yield bus


@asynccontextmanager
async def daemon(bus: PrivateBus, name: str = NAME) -> AsyncIterator[SystemBus]:
    """Somebody on the bus who has a name, and answers nothing."""
    async with open_system_bus(bus.address) as connection:
        await connection.call(BUS, BUS_PATH, BUS, "RequestName", "su", (name, 0))
        yield connection


async def emit(connection: SystemBus, path: str, member: str, number: int, interface: str = INTERFACE) -> None:
    signal = new_signal(DBusAddress(path, interface=interface), member, "v", (("u", number),))
    await connection._send(signal.serialise(1000 + number))


async def flushed(connection: SystemBus) -> None:
    """The bus has taken in all that this connection has sent."""
    await connection.owner(NAME)


# ---------------------------------------------------------------- calls


@pytest.mark.lab
async def test_calls_and_properties(bus: PrivateBus) -> None:
    async with open_system_bus(bus.address) as connection:
        (names,) = await connection.call(BUS, BUS_PATH, BUS, "ListNames")
        assert BUS in names
        properties = await connection.properties(BUS, BUS_PATH, BUS)
        assert "org.freedesktop.DBus.Monitoring" in properties["Interfaces"]
        assert await connection.owner(BUS) == BUS


@pytest.mark.lab
async def test_errors_have_a_name(bus: PrivateBus) -> None:
    async with open_system_bus(bus.address) as connection:
        assert await connection.owner(NAME) is None
        with pytest.raises(BusError) as caught:
            await connection.call(NAME, PATH, INTERFACE, "Anything")
        assert caught.value.name in {f"{BUS}.Error.ServiceUnknown", f"{BUS}.Error.NameHasNoOwner"}
        with pytest.raises(BusError, match="UnknownMethod"):
            await connection.call(BUS, BUS_PATH, BUS, "Anything")


@pytest.mark.lab
async def test_a_daemon_that_does_not_answer(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_system_bus, "REPLY_SECONDS", 0.1)
    async with daemon(bus), open_system_bus(bus.address) as connection:
        with pytest.raises(BusError, match=r"NoReply: org\.example\.Daemon does not answer Anything"):
            await connection.call(NAME, PATH, INTERFACE, "Anything")
        assert await connection.owner(NAME) is not None


@pytest.mark.lab
async def test_many_tasks_share_a_connection_and_some_are_cancelled(bus: PrivateBus) -> None:
    done = 0

    async def ask(connection: SystemBus, patience: float) -> None:
        nonlocal done
        for _ in range(20):
            with trio.move_on_after(patience):
                (identifier,) = await connection.call(BUS, BUS_PATH, BUS, "GetId")
                assert len(identifier) == 32
                done += 1

    async with open_system_bus(bus.address) as connection:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(ask, connection, 30 if number % 2 else random.uniform(0, 0.001))
        assert done >= 200
        assert connection._replies == {}


# ---------------------------------------------------------------- signals


@pytest.mark.lab
async def test_a_daemon_comes_speaks_and_goes(bus: PrivateBus) -> None:
    async with open_system_bus(bus.address) as connection, connection.signals(sender=NAME) as channel:
        async with daemon(bus) as speaker:
            came = await channel.receive()
            assert came == OwnerChanged(await connection.owner(NAME))
            await emit(speaker, PATH, "Changed", 7)
            assert await channel.receive() == Signal(PATH, INTERFACE, "Changed", (7,))
        assert await channel.receive() == OwnerChanged(None)


@pytest.mark.lab
async def test_only_what_was_asked_for(bus: PrivateBus) -> None:
    async with daemon(bus) as speaker, open_system_bus(bus.address) as connection:
        asked: dict[str, Any] = {"interface": INTERFACE, "member": "Changed", "path_namespace": PATH}
        async with connection.signals(sender=NAME) as everything, connection.signals(sender=NAME, **asked) as channel:
            await emit(speaker, PATH, "Removed", 1)
            await emit(speaker, PATH, "Changed", 2, "org.example.Other")
            await emit(speaker, PATH + "2", "Changed", 3)
            await emit(speaker, PATH + "/4", "Changed", 4)
            assert await channel.receive() == Signal(PATH + "/4", INTERFACE, "Changed", (4,))
            assert [(await everything.receive()).body for _ in range(4)] == [(1,), (2,), (3,), (4,)]  # type: ignore[union-attr]


@pytest.mark.lab
async def test_nobody_else_can_speak_for_the_daemon(bus: PrivateBus) -> None:
    async with (
        daemon(bus) as speaker,
        open_system_bus(bus.address) as connection,
        daemon(bus, "org.example.Liar") as liar,
    ):
        async with connection.signals(sender=NAME) as channel, connection.signals(sender="org.example.Liar") as other:
            await emit(liar, PATH, "Changed", 1)
            await flushed(liar)
            await emit(speaker, PATH, "Changed", 2)
            assert await channel.receive() == Signal(PATH, INTERFACE, "Changed", (2,))
            assert await other.receive() == Signal(PATH, INTERFACE, "Changed", (1,))


@pytest.mark.lab
async def test_a_full_channel_tells_that_it_lost_something(bus: PrivateBus) -> None:
    async with daemon(bus) as speaker, open_system_bus(bus.address) as connection:
        async with connection.signals(sender=NAME) as channel:
            for number in range(SIGNALS + 2):
                await emit(speaker, PATH, "Changed", number)
            await flushed(speaker)
            await flushed(connection)  # reads all that came before the answer
            assert await channel.receive() == SignalsLost()
            assert await channel.receive() == Signal(PATH, INTERFACE, "Changed", (SIGNALS + 1,))
            await emit(speaker, PATH, "Changed", 1)
            await flushed(speaker)
            await flushed(connection)
            channel.clear()
            await emit(speaker, PATH, "Changed", 2)
            assert await channel.receive() == Signal(PATH, INTERFACE, "Changed", (2,))


@pytest.mark.lab
async def test_a_left_channel_leaves_nothing_at_the_bus(bus: PrivateBus) -> None:
    async def rules() -> object:
        statistics = await connection.call(BUS, BUS_PATH, f"{BUS}.Debug.Stats", "GetConnectionStats", "s", (own,))
        return statistics[0]["MatchRules"]

    async with open_system_bus(bus.address) as connection:
        own = str((await connection.call(BUS, BUS_PATH, BUS, "ListNames"))[0][-1])
        before = await rules()
        with trio.CancelScope() as scope:
            async with connection.signals(sender=NAME):
                assert await rules() != before
                scope.cancel()
                await trio.sleep_forever()
        assert await rules() == before
        assert connection._channels == []
        assert connection._owners == {}


# ---------------------------------------------------------------- the bus comes and goes


@pytest.mark.lab
async def test_the_bus_goes_away(bus: PrivateBus) -> None:
    async with open_system_bus(bus.address) as connection, connection.signals(sender=NAME) as channel:
        bus.stop()
        assert [news async for news in channel] == []
        with pytest.raises(BusGone):
            await connection.call(BUS, BUS_PATH, BUS, "ListNames")
        with pytest.raises(BusGone):
            async with connection.signals(sender=NAME):
                pass


@pytest.mark.lab
async def test_the_bus_goes_away_during_a_call(bus: PrivateBus) -> None:
    async with daemon(bus), open_system_bus(bus.address) as connection, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def stop() -> None:
            await trio.testing.wait_all_tasks_blocked()
            bus.stop()

        with pytest.raises(BusGone):
            await connection.call(NAME, PATH, INTERFACE, "Anything")


@pytest.mark.lab
async def test_waiting_for_a_bus(bus: PrivateBus) -> None:
    with trio.fail_after(1):
        await wait_system_bus(bus.address)
    bus.stop()
    for remains in (False, True):  # its socket, with nobody listening
        if not remains:
            bus.path.unlink()
        with trio.move_on_after(0.1) as waited:
            await wait_system_bus(bus.address)
        assert waited.cancelled_caught
        with pytest.raises(BusGone, match="no bus listens at"):
            async with open_system_bus(bus.address):
                pass
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_system_bus, bus.address)
            await trio.testing.wait_all_tasks_blocked()
            bus.start()
            with trio.fail_after(3):
                await wait_system_bus(bus.address)
        bus.stop()


@pytest.mark.lab
async def test_without_jeepney(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jeepney.low_level", None)
    with pytest.raises(BusUnusable) as caught:
        async with open_system_bus(bus.address):
            pass
    limitation = caught.value.limitation("NetworkManager", "leases")
    assert limitation.missing == "leases: jeepney is not installed"
    assert limitation.remedy == "install trimif[dbus]"
    bus.stop()
    with pytest.raises(BusGone):  # where there is no bus, nothing is missing
        async with open_system_bus(bus.address):
            pass
