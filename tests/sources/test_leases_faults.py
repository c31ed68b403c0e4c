"""What can be wrong with lease files, and what a source keeps open."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from trimif._facts import AllLeases, Fact, Limitation
from trimif._sources.dhclient import DhclientSource

from .lease_files import lease_text, running


async def test_a_malformed_file_counts_with_its_last_good_content(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    file.write_text(lease_text())
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        file.write_bytes(b"\xff\xfe garbage }")
        (tmp_path / "dhclient.eth1.leases").write_text(lease_text("eth1"))
        assert await dhclient.addresses() == {"eth0": "198.51.100.10", "eth1": "198.51.100.10"}
        assert dhclient.source.statistics().malformed == 1
        file.write_text(lease_text(last=11))
        assert await dhclient.addresses() == {"eth0": "198.51.100.11", "eth1": "198.51.100.10"}
        file.write_text("}")
        file.unlink()
        assert await dhclient.addresses() == {"eth1": "198.51.100.10"}


async def test_what_is_no_regular_file_or_endless_is_malformed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dhclient.fifo.leases")
    (tmp_path / "dhclient.dir.leases").mkdir()
    (tmp_path / "dhclient.zero.leases").symlink_to("/dev/zero")
    (tmp_path / "dhclient.gone.leases").symlink_to("/nonexistent")
    (tmp_path / "dhclient.long.leases").write_text(lease_text("eth1") + "#" * (1 << 20))
    (tmp_path / "dhclient.leases").write_text(lease_text())
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        assert dhclient.source.statistics().malformed == 4
        (tmp_path / "dhclient.leases").write_text(lease_text(last=11))
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        assert dhclient.source.statistics().malformed == 4  # counted once, not at each look


CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


@contextmanager
def without_privilege_over_files() -> Iterator[None]:
    """Let file permissions hold for the calling thread, root's too, for the length of the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("@Ii", CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)
    assert libc.capget(header, sets) == 0
    effective, *others = struct.unpack("@6I", sets.raw)
    effective &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    assert libc.capset(header, struct.pack("@6I", effective, *others)) == 0
    try:
        yield
    finally:
        assert libc.capset(header, sets) == 0


async def test_an_unreadable_directory_is_said_once_and_read_when_it_may_be(tmp_path: Path) -> None:
    directory = tmp_path / "dhcp"
    directory.mkdir()
    (directory / "dhclient.leases").write_text(lease_text())
    directory.chmod(0)
    with without_privilege_over_files():
        async with running(DhclientSource([directory])) as dhclient:
            limitation = await dhclient.limitation()
            assert limitation.source == "dhclient"
            assert str(directory) in limitation.missing
            assert await dhclient.addresses() == {}
            directory.chmod(0o700)
            assert await dhclient.addresses() == {"eth0": "198.51.100.10"}


async def test_an_unreadable_file_is_said_once_and_read_when_it_may_be(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    file.write_text(lease_text())
    file.chmod(0)
    with without_privilege_over_files():
        async with running(DhclientSource([tmp_path])) as dhclient:
            assert str(file) in (await dhclient.limitation()).missing
            assert await dhclient.addresses() == {}
            (tmp_path / "dhclient.eth1.leases").write_text(lease_text("eth1"))
            assert await dhclient.addresses() == {"eth1": "198.51.100.10"}
            file.chmod(0o600)
            assert await dhclient.addresses() == {"eth0": "198.51.100.10", "eth1": "198.51.100.10"}


async def test_without_inotify_it_says_so_and_returns(tmp_path: Path) -> None:
    """A process that has no descriptor left can't list the directory either."""
    facts: list[Fact] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    source = DhclientSource([tmp_path / "not there"])
    async with trio.open_nursery() as nursery:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # no new descriptor for this process
        try:
            await nursery.start(source.run, facts.extend)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _unreadable, leases, limitation = facts
    assert leases == AllLeases("dhclient", ())
    assert isinstance(limitation, Limitation)
    assert "inotify" in limitation.remedy


async def test_it_keeps_one_descriptor_and_cancelled_none(tmp_path: Path) -> None:
    (tmp_path / "dhclient.leases").write_text(lease_text())
    before = set(open_descriptors())
    async with running(DhclientSource([tmp_path])) as dhclient:
        await dhclient.leases()
        (opened,) = set(open_descriptors()) - before
        assert "inotify" in open_descriptors()[opened]
        assert not os.get_inheritable(opened)
    assert set(open_descriptors()) == before


def open_descriptors() -> dict[int, str]:
    """What this process has open, the descriptor that looks apart."""
    links = {int(name): Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")}
    return {number: os.readlink(link) for number, link in links.items() if link.is_symlink()}
