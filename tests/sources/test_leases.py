"""Leases followed in their files: every way in which a file changes, and real clients of real servers."""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio
from attrs import frozen

from trimif._facts import AllLeases, Fact, Lease, Limitation, StaticConfiguration
from trimif._sources._source import Source
from trimif._sources.dhclient import DhclientSource
from trimif._sources.pyroute2_leases import Pyroute2LeaseSource
from trimif._sources.static import StaticSource
from trimif.testing._namespaces import Namespace


def lease_text(interface: str = "eth0", last: int = 10, seconds: float = 600) -> str:
    """A lease of 198.51.100.`last`, valid for so many seconds, as dhclient writes it."""
    expiry = datetime.fromtimestamp(time.time() + seconds, UTC)
    return (
        f'lease {{\n  interface "{interface}";\n  fixed-address 198.51.100.{last};\n'
        f"  option subnet-mask 255.255.255.0;\n  expire {expiry:%w %Y/%m/%d %H:%M:%S};\n}}\n"
    )


@frozen
class Running:
    """A source at work, and what it reports."""

    source: Source
    facts: trio.MemoryReceiveChannel[Fact]

    async def leases(self) -> dict[str, Lease]:
        """The next set of leases, by interface."""
        with trio.fail_after(30):
            fact = await self.facts.receive()
        assert isinstance(fact, AllLeases)
        assert fact.source == self.source.name
        return {lease.interface: lease for lease in fact.leases if isinstance(lease, Lease)}

    async def addresses(self) -> dict[str, str]:
        return {interface: str(lease.address) for interface, lease in (await self.leases()).items()}

    async def limitation(self) -> Limitation:
        with trio.fail_after(30):
            fact = await self.facts.receive()
        assert isinstance(fact, Limitation)
        return fact

    def nothing_more(self) -> bool:
        return self.facts.statistics().current_buffer_used == 0


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Running]:
    sender, receiver = trio.open_memory_channel[Fact](100)

    def report(facts: Sequence[Fact]) -> None:
        for fact in facts:
            sender.send_nowait(fact)

    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, report)
        assert receiver.statistics().current_buffer_used  # what is there now is reported before it has started
        yield Running(source, receiver)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- ways in which files change


async def test_leases_that_are_there_are_reported_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "dhclient.eth0.leases").write_text(lease_text())
    async with running(DhclientSource([tmp_path])) as dhclient:
        lease = (await dhclient.leases())["eth0"]
        assert (lease.address, lease.prefix_length) == (IPv4Address("198.51.100.10"), 24)
        assert lease.valid_until - trio.current_time() == pytest.approx(600, abs=5)


async def test_a_lease_appended_counts_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        for last in (11, 12, 13):
            with file.open("a") as log:
                log.write(lease_text(last=last))
            assert await dhclient.addresses() == {"eth0": f"198.51.100.{last}"}


async def test_a_lease_that_is_half_written_is_not_half_applied(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    file.write_text(lease_text(last=10))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        new = lease_text(last=11)
        with file.open("a") as log:
            log.write(new[:60])
            log.flush()
            await trio.sleep(0.2)
            assert dhclient.nothing_more()
            log.write(new[60:])
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}


async def test_a_file_rewritten_in_place_does_not_lose_its_lease_meanwhile(tmp_path: Path) -> None:
    """As dhclient does after some twenty leases: truncate, then write block by block."""
    file = tmp_path / "dhclient.leases"
    file.write_text(lease_text())
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        with file.open("w") as log:
            for text in (lease_text(seconds=-100), lease_text(last=11)):
                await trio.sleep(0.005)
                log.write(text)
                log.flush()
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        assert dhclient.source.statistics().malformed == 0


async def test_a_file_renamed_into_place_counts(tmp_path: Path) -> None:
    new = tmp_path / "new"
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        for last in (11, 12):
            new.write_text(lease_text(last=last))
            new.rename(tmp_path / "dhclient.leases")
            assert await dhclient.addresses() == {"eth0": f"198.51.100.{last}"}


async def test_a_file_removed_or_renamed_away_counts_no_more(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        file.write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        file.unlink()
        assert await dhclient.addresses() == {}
        file.write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        file.rename(tmp_path / "dhclient.leases~")
        assert await dhclient.addresses() == {}


async def test_directories_may_come_go_and_be_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "lib" / "dhcp"
    async with running(DhclientSource([directory, tmp_path / "never" / "there"])) as dhclient:
        assert await dhclient.addresses() == {}
        directory.mkdir(parents=True)
        (directory / "dhclient.leases").write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        (tmp_path / "var").rename(tmp_path / "old")
        assert await dhclient.addresses() == {}
        directory.mkdir(parents=True)
        (directory / "dhclient.leases").write_text(lease_text(last=11))
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        (directory / "dhclient.leases").unlink()
        directory.rmdir()
        assert await dhclient.addresses() == {}
        directory.mkdir()
        (directory / "dhclient.eth1.leases").write_text(lease_text("eth1"))
        assert await dhclient.addresses() == {"eth1": "198.51.100.10"}


async def test_other_files_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "dhcpd.leases").write_text("lease 198.51.100.10 { ends never; }")  # the server's
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        (tmp_path / "dhcpd.leases").write_text("}")
        (tmp_path / "dhclient.leases").write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        assert dhclient.source.statistics().malformed == 0


# ---------------------------------------------------------------- which lease counts


async def test_the_newest_file_that_mentions_an_interface_counts(tmp_path: Path) -> None:
    old, new = tmp_path / "dhclient.leases", tmp_path / "dhclient.eth0.leases"
    old.write_text(lease_text(last=10) + lease_text("eth1", last=20))
    new.write_text(lease_text(last=11))
    os.utime(old, (1, 1))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.11", "eth1": "198.51.100.20"}
        new.write_text(lease_text(last=11) + lease_text(last=11, seconds=-1))  # released
        assert await dhclient.addresses() == {"eth1": "198.51.100.20"}


async def test_an_expired_lease_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "dhclient.leases").write_text(lease_text(seconds=-2) + lease_text("eth1"))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth1": "198.51.100.10"}


async def test_a_lease_for_ever_has_no_deadline(tmp_path: Path) -> None:
    (tmp_path / "dhclient.leases").write_text('lease { interface "eth0"; fixed-address 198.51.100.9; expire never; }')
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert (await dhclient.leases())["eth0"].valid_until == math.inf


async def test_what_says_nothing_new_is_not_reported_again(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    text = lease_text()
    file.write_text(text)
    async with running(DhclientSource([tmp_path])) as dhclient:
        await dhclient.leases()
        for comment in ("# one\n", "# two\n"):
            file.write_text(text + comment)
            await trio.sleep(0.1)
        file.write_text(lease_text(last=11))
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        assert dhclient.source.statistics().facts == 2


# ---------------------------------------------------------------- what can be wrong with files


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


# ---------------------------------------------------------------- static


async def test_static_configurations_are_reported_once() -> None:
    facts: list[Fact] = []
    configuration = StaticConfiguration("vpn0", dns_servers=(IPv4Address("198.51.100.53"),))
    source = StaticSource([configuration])
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, facts.extend)
        assert facts == [configuration]
    assert source.statistics().facts == 1


# ---------------------------------------------------------------- real clients of real servers


@frozen
class Link:
    """A host's eth0 and an ISP's isp0 with a cable between them; programs that end with the test."""

    host: Namespace
    isp: Namespace
    directory: Path
    ends: ExitStack

    def start(
        self, namespace: Namespace, *command: str, end_by: signal.Signals = signal.SIGTERM
    ) -> subprocess.Popen[str]:
        log = self.ends.enter_context((self.directory / f"{Path(command[0]).name}.log").open("a"))
        process = namespace.popen(command, cwd=self.directory, stdout=log, stderr=log, text=True)
        self.ends.callback(end, process, end_by)
        return process

    async def run_on_host(self, *command: str) -> None:
        process = self.start(self.host, *command)
        await poll(lambda: process.poll() is not None)
        assert process.returncode == 0

    def host_addresses(self) -> list[str]:
        shown = self.host.run(["ip", "-json", "-4", "addr", "show", "eth0"], check=True, capture_output=True)
        return [entry["local"] for link in json.loads(shown.stdout) for entry in link.get("addr_info", [])]


async def poll(happened: Callable[[], bool]) -> None:
    """Wait for something outside this process, which can set no event."""
    with trio.fail_after(30):
        await trio.lowlevel.checkpoint()
        while not happened():  # noqa: ASYNC110
            await trio.sleep(0.02)


def end(process: subprocess.Popen[str], by: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with closing(Namespace("host")) as host, closing(Namespace("isp")) as isp, ExitStack() as ends:
        for namespace, command in (
            (host, f"link add eth0 type veth peer name isp0 netns {isp.path}"),
            (host, "link set lo up"),
            (host, "link set eth0 up"),
            (isp, "link set lo up"),
            (isp, "link set isp0 up"),
            (isp, "addr add 198.51.100.1/24 dev isp0"),
        ):
            namespace.run(["ip", *command.split()], check=True)
        yield Link(host, isp, tmp_path, ends)


DHCPD = """
authoritative; ping-check false; dhcp-cache-threshold 0; default-lease-time 60; max-lease-time 60;
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
subnet 198.51.100.0 netmask 255.255.255.0 {
  range 198.51.100.10 198.51.100.20;
  option routers 198.51.100.1; option domain-name-servers 198.51.100.1, 198.51.100.3;
  option domain-name "isp.example"; option domain-search "isp.example", "a.isp.example"; option interface-mtu 1460;
  option ntp-servers 198.51.100.1;
  option rfc3442-classless-static-routes 24,203,0,113,198,51,100,1, 0,198,51,100,1;
}
"""
DHCLIENT = """
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name-servers, domain-name, domain-search, interface-mtu, ntp-servers,
  rfc3442-classless-static-routes, dhcp-lease-time;
"""
SCRIPT = """#!/bin/sh
case $reason in
  BOUND|RENEW|REBIND|REBOOT) exec ip addr replace "$new_ip_address/24" dev "$interface" ;;
  RELEASE|EXPIRE|STOP) exec ip addr del "$old_ip_address/24" dev "$interface" ;;
esac
"""


def serve_with_dhcpd(link: Link) -> None:
    configuration, leases = link.directory / "dhcpd.conf", link.directory / "dhcpd.leases"
    configuration.write_text(DHCPD)
    leases.touch()
    options = ("-4", "-f", "--no-pid", "-user", "root", "-group", "root", "-cf", str(configuration), "-lf", str(leases))
    link.start(link.isp, "dhcpd", *options, "isp0")


def dhclient_command(link: Link, *more: str) -> tuple[str, ...]:
    for name, text in (("dhclient.conf", DHCLIENT), ("dhclient-script", SCRIPT)):
        (link.directory / name).write_text(text)
        (link.directory / name).chmod(0o755)
    names = {"-cf": "dhclient.conf", "-lf": "dhclient.eth0.leases", "-pf": "dhclient.pid", "-sf": "dhclient-script"}
    files = [word for option, name in names.items() for word in (option, str(link.directory / name))]
    return ("dhclient", "-4", "-v", *files, *more, "eth0")


async def extend_lease(link: Link, client: subprocess.Popen[str]) -> None:
    """Have the lease extended and written down, a second later so that its end differs.

    dhclient does not write a lease within 15 seconds of the last one (MIN_LEASE_WRITE), and a renewal earlier than
    that never gets into the file; but a new dhclient that finds the old one's lease confirms it, and writes at once.
    """
    end(client, signal.SIGTERM)
    written = (link.directory / "dhclient.eth0.leases").stat().st_mtime
    await poll(lambda: time.time() > written + 1.1)
    link.start(link.host, *dhclient_command(link, "-d"))


@pytest.mark.lab
async def test_a_real_dhclient_bound_extended_and_released(link: Link) -> None:
    serve_with_dhcpd(link)
    async with running(DhclientSource([link.directory])) as dhclient:
        assert await dhclient.leases() == {}
        client = link.start(link.host, *dhclient_command(link, "-d"))
        bound = (await dhclient.leases())["eth0"]
        assert str(bound.origin) == "dhclient from 198.51.100.1"
        assert [str(bound.address)] == link.host_addresses()
        assert bound.prefix_length == 24
        assert bound.valid_until - trio.current_time() == pytest.approx(60, abs=5)
        assert bound.routers == bound.ntp_servers == (IPv4Address("198.51.100.1"),)
        assert [str(route) for route in bound.routes] == [
            "203.0.113.0/24 via 198.51.100.1",
            "0.0.0.0/0 via 198.51.100.1",
        ]
        assert [str(server) for server in bound.dns_servers] == ["198.51.100.1", "198.51.100.3"]
        assert bound.search_domains == ("isp.example", "a.isp.example")
        assert bound.mtu == 1460
        await extend_lease(link, client)
        extended = (await dhclient.leases())["eth0"]
        assert extended.address == bound.address
        assert extended.valid_until > bound.valid_until
        await link.run_on_host(*dhclient_command(link, "-r"))
        assert await dhclient.leases() == {}
        assert link.host_addresses() == []
        assert dhclient.source.statistics().malformed == 0


@pytest.mark.lab
async def test_a_real_pyroute2_client_bound_and_renewed(link: Link) -> None:
    options = ("--port=0", "--interface=isp0", "--bind-interfaces", "--dhcp-range=198.51.100.10,198.51.100.20,120")
    files = ("--conf-file=/dev/null", "--pid-file=", f"--dhcp-leasefile={link.directory}/dnsmasq")
    link.start(link.isp, "dnsmasq", "-d", "--no-ping", "--user=root", *files, *options, "--domain=isp.example")
    async with running(Pyroute2LeaseSource([link.directory])) as pyroute2:
        assert await pyroute2.leases() == {}
        command = (sys.executable, "-m", "pyroute2.dhcp.cli", "eth0")
        client = link.start(link.host, *command, end_by=signal.SIGINT)
        bound = (await pyroute2.leases())["eth0"]
        assert str(bound.origin) == "pyroute2 from 198.51.100.1"
        assert bound.prefix_length == 24
        assert bound.valid_until - trio.current_time() == pytest.approx(120, abs=5)
        assert bound.routers == (IPv4Address("198.51.100.1"),)
        assert bound.search_domains == ("isp.example",)
        # The file is written before the address is set.
        await poll(lambda: link.host_addresses() == [str(bound.address)])
        client.send_signal(signal.SIGUSR1)
        renewed = (await pyroute2.leases())["eth0"]
        assert renewed.address == bound.address
        assert renewed.valid_until > bound.valid_until
        client.send_signal(signal.SIGINT)
        await poll(lambda: client.poll() is not None)
        assert link.host_addresses() == []
        # It has released the lease, and did not write that down: its address being gone is what tells.
        assert (link.directory / "eth0.lease.json").exists()
        assert pyroute2.source.statistics().malformed == 0
