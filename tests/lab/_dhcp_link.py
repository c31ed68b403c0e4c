"""A host's eth0 and an ISP's isp0 with a cable between them, for DHCP clients and servers with times of their own.

The lab's networks have leases of minutes; here the tests say what a server tells, and for how long.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

from trimif._facts import AllLeases, DHCPv6Lease, Fact, Lease, Limitation
from trimif._sources._source import Source
from trimif.testing._lab_processes import poll_until
from trimif.testing._namespaces import Namespace


@frozen
class Link:
    """Programs that end with the test, on both sides of a cable."""

    host: Namespace
    isp: Namespace
    directory: Path
    ends: ExitStack

    def start(
        self,
        namespace: Namespace,
        *command: str,
        end_by: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a program that is ended with the test, gently."""
        log = self.ends.enter_context((self.directory / f"{Path(command[0]).name}.log").open("a"))
        variables = {**os.environ, **(environment or {})}
        process = namespace.popen(command, cwd=self.directory, stdout=log, stderr=log, text=True, env=variables)
        self.ends.callback(end, process, end_by)
        return process

    async def run_on_host(self, *command: str) -> None:
        """Run a program to its end without blocking the loop."""
        process = self.start(self.host, *command)
        await poll(lambda: process.poll() is not None)
        assert process.returncode == 0

    def ip(self, namespace: Namespace, command: str) -> str:
        """Run ``ip``; its output."""
        done = namespace.run(["ip", *command.split()], check=True, capture_output=True, text=True)
        return str(done.stdout)

    def host_addresses(self, family: int = 4) -> list[str]:
        """The global addresses of eth0."""
        shown = json.loads(self.ip(self.host, f"-json -{family} address show dev eth0 scope global"))
        return [entry["local"] for link in shown for entry in link.get("addr_info", []) if "local" in entry]

    def index(self) -> int:
        """The kernel's number for eth0."""
        return int(json.loads(self.ip(self.host, "-json link show dev eth0"))[0]["ifindex"])

    def link_local(self) -> str:
        """The link-local address of eth0, empty while there is none."""
        shown = json.loads(self.ip(self.host, "-json -6 address show dev eth0 scope link"))
        usable = [each["local"] for link in shown for each in link.get("addr_info", []) if not each.get("tentative")]
        return str(usable[0]) if usable else ""

    def log(self, program: str) -> str:
        """What a program has said so far."""
        return (self.directory / f"{program}.log").read_text()


@contextmanager
def open_link(directory: Path) -> Iterator[Link]:
    """Make the two namespaces; without duplicate address detection, so that addresses are usable at once."""
    with closing(Namespace("host")) as host, closing(Namespace("isp")) as isp, ExitStack() as ends:
        link = Link(host, isp, directory, ends)
        for namespace in (host, isp):
            for scope in ("all", "default"):
                namespace.write_sysctl(f"net/ipv6/conf/{scope}/accept_dad", 0)
            link.ip(namespace, "link set lo up")
        link.ip(host, f"link add eth0 address 02:00:00:00:0a:02 type veth peer name isp0 netns {isp.path}")
        for command in ("address add 198.51.100.1/24 dev isp0", "address add 2001:db8:a::1/64 dev isp0 nodad"):
            link.ip(isp, command)
        link.ip(isp, "link set isp0 up")
        link.ip(host, "link set eth0 up")
        poll_until(lambda: bool(link.link_local()), "a usable link-local address")
        yield link


async def poll(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something outside this process, which can set no event."""
    with trio.fail_after(seconds):
        await trio.lowlevel.checkpoint()
        while not happened():  # noqa: ASYNC110
            await trio.sleep(0.02)


def end(process: subprocess.Popen[str], by: signal.Signals) -> None:
    """End a process, and wait for it."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ---------------------------------------------------------------- servers


def start_dnsmasq(link: Link, *options: str) -> subprocess.Popen[str]:
    """A DHCP server of both families, DNS apart."""
    files = ("--conf-file=/dev/null", "--pid-file=", f"--dhcp-leasefile={link.directory}/dnsmasq.leases")
    fixed = ("--port=0", "--interface=isp0", "--bind-interfaces", "--no-ping", "--log-dhcp", "--user=root")
    return link.start(link.isp, "dnsmasq", "-d", *files, *fixed, *options)


def start_dhcpd(link: Link, family: int, configuration: str) -> subprocess.Popen[str]:
    """ISC's server, whose leases may be as short as you like."""
    path, leases = link.directory / f"dhcpd{family}.conf", link.directory / f"dhcpd{family}.leases"
    path.write_text(configuration)
    leases.touch()
    options = ("-f", "--no-pid", "-user", "root", "-group", "root", "-cf", str(path), "-lf", str(leases))
    return link.start(link.isp, "dhcpd", f"-{family}", *options, "isp0")


def start_kea6(link: Link, options: Sequence[Mapping[str, str]]) -> subprocess.Popen[str]:
    """Kea's DHCPv6 server; all that it writes goes into the link's directory."""
    configuration: dict[str, Any] = {
        "interfaces-config": {"interfaces": ["isp0"]},
        "lease-database": {"type": "memfile", "persist": False},
        "server-id": {"type": "LL", "htype": 1, "identifier": "020000000a01", "persist": False},
        "option-data": list(options),
        "subnet6": [{"id": 1, "subnet": "2001:db8:a::/64", "interface": "isp0"}],
        "loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout", "flush": True}]}],
    }
    path = link.directory / "kea6.json"
    path.write_text(json.dumps({"Dhcp6": configuration}))
    names = ("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR", "KEA_DHCP_DATA_DIR")
    return link.start(link.isp, "kea-dhcp6", "-c", str(path), environment=dict.fromkeys(names, str(link.directory)))


# ---------------------------------------------------------------- sources


@frozen
class Running:
    """A source at work, and what it reports."""

    source: Source
    facts: trio.MemoryReceiveChannel[Fact]

    async def fact(self) -> Fact:
        """The next one."""
        with trio.fail_after(60):
            return await self.facts.receive()

    async def leases(self) -> tuple[Lease | DHCPv6Lease, ...]:
        """The next set of leases."""
        fact = await self.fact()
        assert isinstance(fact, AllLeases)
        assert fact.source == self.source.name
        return fact.leases

    async def lease(self) -> Lease:
        """The one DHCPv4 lease of the next set."""
        (lease,) = await self.leases()
        assert isinstance(lease, Lease)
        return lease

    async def lease6(self) -> DHCPv6Lease:
        """The one DHCPv6 lease of the next set."""
        (lease,) = await self.leases()
        assert isinstance(lease, DHCPv6Lease)
        return lease

    async def limitation(self) -> Limitation:
        """The next one."""
        fact = await self.fact()
        assert isinstance(fact, Limitation)
        return fact

    def nothing_more(self) -> bool:
        """Everything that was reported has been taken."""
        return self.facts.statistics().current_buffer_used == 0


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Running]:
    """Run a source for the length of the block."""
    sender, receiver = trio.open_memory_channel[Fact](100)

    def report(facts: Sequence[Fact]) -> None:
        for fact in facts:
            sender.send_nowait(fact)

    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, report)
        assert receiver.statistics().current_buffer_used  # what is there now is reported before it has started
        yield Running(source, receiver)
        nursery.cancel_scope.cancel()
