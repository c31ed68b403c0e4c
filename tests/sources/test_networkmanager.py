"""NetworkManager's files where there is nobody else to ask: found, followed, and silent where there are none."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from trimif._facts import AllLeases, AllLinkConfigurations, Fact, Limitation
from trimif._sources.networkmanager import NetworkManagerSource

NOWHERE = "unix:path=/nowhere/bus"


def device_text(address: str = "198.51.100.10", seconds: int = 600) -> str:
    """The file of a device with a lease that is valid for so many seconds."""
    texts = {"expiry": str(int(time.time()) + seconds), "ip_address": address, "subnet_mask": "255.255.255.0"}
    return "[device]\nmanaged=true\n\n[dhcp4]\n" + "".join(f"dhcp4.{name}={text}\n" for name, text in texts.items())


def write(devices: Path, text: str) -> None:
    """Put the file of the loopback interface in place, which every network namespace has, as NetworkManager does."""
    temporary = devices / "1.AB12CD"
    temporary.write_text(text)
    temporary.rename(devices / "1")


@asynccontextmanager
async def running(source: NetworkManagerSource) -> AsyncIterator[trio.MemoryReceiveChannel[Fact]]:
    sender, receiver = trio.open_memory_channel[Fact](100)

    def report(facts: Sequence[Fact]) -> None:
        for fact in facts:
            sender.send_nowait(fact)

    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, report)
        yield receiver
        nursery.cancel_scope.cancel()


async def next_addresses(facts: trio.MemoryReceiveChannel[Fact]) -> dict[str, str]:
    with trio.fail_after(10):
        fact = await facts.receive()
    assert isinstance(fact, AllLeases)
    return {lease.interface: str(getattr(lease, "address", None)) for lease in fact.leases}


async def test_where_it_is_not_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jeepney.low_level", None)
    async with running(NetworkManagerSource(tmp_path / "not there", NOWHERE)) as facts:
        told = [facts.receive_nowait(), facts.receive_nowait()]
        assert told == [AllLeases("NetworkManager", ()), AllLinkConfigurations("NetworkManager", ())]
        assert facts.statistics().current_buffer_used == 0


async def test_files_come_change_and_go(tmp_path: Path) -> None:
    devices = tmp_path / "NetworkManager" / "devices"
    source = NetworkManagerSource(devices, NOWHERE)
    async with running(source) as facts:
        assert await next_addresses(facts) == {}
        await facts.receive()
        devices.mkdir(parents=True)
        write(devices, device_text())
        assert await next_addresses(facts) == {"lo": "198.51.100.10"}
        write(devices, device_text("198.51.100.11"))
        assert await next_addresses(facts) == {"lo": "198.51.100.11"}
        write(devices, device_text("198.51.100.12")[:-1])  # cut off: what was known counts
        (devices / "1").touch()
        (devices / "77777777").write_text(device_text())  # of an interface that is gone
        write(devices, device_text("198.51.100.13"))
        assert await next_addresses(facts) == {"lo": "198.51.100.13"}
        (devices / "1").unlink()
        assert await next_addresses(facts) == {}
    assert source.statistics().facts == 6


async def test_an_expired_lease_is_none(tmp_path: Path) -> None:
    write(tmp_path, device_text(seconds=-1))
    async with running(NetworkManagerSource(tmp_path, NOWHERE)) as facts:
        assert await next_addresses(facts) == {}


async def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    async with running(NetworkManagerSource(tmp_path, NOWHERE)) as facts:
        told = [facts.receive_nowait() for _ in range(facts.statistics().current_buffer_used)]
        assert [fact.remedy for fact in told if isinstance(fact, Limitation)] == [f"let this user read {tmp_path}/1"]


async def test_a_bus_address_that_is_no_socket_is_said_where_it_would_matter(tmp_path: Path) -> None:
    write(tmp_path, device_text())
    async with running(NetworkManagerSource(tmp_path, "tcp:host=localhost,port=1")) as facts:
        told = [facts.receive_nowait() for _ in range(facts.statistics().current_buffer_used)]
        (limitation,) = [fact for fact in told if isinstance(fact, Limitation)]
        assert limitation.missing.endswith("tcp:host=localhost,port=1 is no Unix socket")


async def test_without_descriptors_it_says_so_and_goes_on(tmp_path: Path) -> None:
    facts: list[Fact] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with trio.open_nursery() as nursery:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # no new descriptor for this process
        try:
            await nursery.start(NetworkManagerSource(tmp_path, NOWHERE).run, facts.extend)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        nursery.cancel_scope.cancel()
    assert AllLeases("NetworkManager", ()) in facts
    assert any("inotify" in fact.remedy for fact in facts if isinstance(fact, Limitation))
