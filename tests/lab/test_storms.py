"""Storms on a real kernel: the laws hold while they last, and at rest every subscriber was told what ``ip`` says.

A process of its own makes the changes, as fast as ``ip -batch`` can. Some subscribers keep up, some are slow, some are
asleep until it is over. With the kernel's default receive buffer the program also blocks Trio for a moment, so that
there is an overrun on any machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from typing import IO, Any, TypeAlias

import pytest
import trio

from trimif import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    InterfaceAnnouncement,
    Mif,
    ProvisioningDomainAnnouncement,
    Request,
    Subscriber,
)
from trimif._core import Core
from trimif._mif import run_element
from trimif._sources import SourceStatistics
from trimif._sources.netlink import RECEIVE_BUFFER_OCTETS, NetlinkSource
from trimif.testing import SimulatedHost
from trimif.testing._history import present_of
from trimif.testing._laws import LawChecker
from trimif.testing._namespaces import Namespace

pytestmark = pytest.mark.lab

DEFAULT_BUFFER_OCTETS = 212_992
CHANGES = 50_000
STEADY, FLIGHTY = range(1, 101), range(101, 201)
SETTLING_SECONDS = 15
"""A bound: an address that nobody claims is announced after two seconds, and the source may have to dump twice."""

LAST = "link set lo mtu 60000"
"""Ends each storm, and happens only then. Where states come again a subscriber can have been told what is true at the
end, and yet be in the middle of the storm; nobody was told this before all that went before it."""

Truth: TypeAlias = tuple[frozenset[tuple[str, int, bool]], frozenset[tuple[str, str, int]]]
"""Interfaces with their MTU and whether they are up; addresses on them."""


# ---------------------------------------------------------------- the host


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host with loopback and the pairs up0, up1 and up2, some with addresses, in which the test itself runs."""
    namespace = Namespace("host")
    try:
        namespace.write_sysctl("net/ipv6/conf/default/accept_dad", 0)
        batch = ["link set lo up"]
        for name in ("up0", "up1", "up2"):
            batch += [f"link add {name} type veth peer name {name}-peer", f"link set {name} up"]
            batch += [f"link set {name}-peer up"]
        batch += [f"address add 198.51.100.{each}/24 dev up0" for each in (*STEADY, *FLIGHTY)]
        batch += ["address add 203.0.113.1/24 dev up1"]
        namespace.run(["ip", "-batch", "-"], input="\n".join(batch).encode(), check=True)
        with namespace.entered():
            yield namespace
    finally:
        namespace.close()


def truth(namespace: Namespace) -> Truth:
    """What ``ip`` says. Link-local addresses alone make no domain, and are of no interest here."""
    listed = namespace.run(["ip", "-json", "address"], capture_output=True, check=True)
    links: list[dict[str, Any]] = json.loads(listed.stdout)
    return (
        frozenset((link["ifname"], link["mtu"], "UP" in link["flags"]) for link in links),
        frozenset(
            (link["ifname"], each["local"], each["prefixlen"])
            for link in links
            for each in link["addr_info"]
            if not ip_address(each["local"]).is_link_local and "UP" in link["flags"]
        ),
    )


async def storm(namespace: Namespace, lines: Sequence[str]) -> None:
    """Run the lines in one ``ip -batch``."""
    process = namespace.popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdin is not None
        async with trio.lowlevel.FdStream(_take(process.stdin)) as stream:
            await stream.send_all("\n".join(lines).encode())
        with trio.fail_after(60):
            while True:
                await trio.sleep(0.01)
                if process.poll() is not None:
                    break
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0


def _take(pipe: IO[bytes]) -> int:
    with pipe:
        return os.dup(pipe.fileno())


@asynccontextmanager
async def open_mif(receive_buffer: int) -> AsyncIterator[Mif]:
    """A MIF that hears the kernel with a receive buffer of so many octets, and nobody else."""
    nobody = SimulatedHost()
    source = NetlinkSource(receive_buffer)
    mif = Mif(Core("storm"), [source], names=nobody, connect=nobody.connect)
    async with run_element(mif):
        yield mif


# ---------------------------------------------------------------- the subscribers


class Follower:
    """Asks for everything, and holds what it is told against the laws."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self.checker = LawChecker()
        self.received = 0
        self._post(AnnounceInterfaces())

    def _post(self, request: Request) -> None:
        self._subscriber.post(request)
        self.checker.posted(request)

    def take(self, message: Announcement) -> None:
        self.received += 1
        self.checker.received(message)
        match message:
            case InterfaceAnnouncement(interface=interface) if interface not in self.checker.domains:
                self._post(AnnounceProvisioningDomain(interface))
            case ProvisioningDomainAnnouncement(domain=domain) if domain not in self.checker.addresses:
                self._post(AnnounceConfigurationElement(domain))
                self._post(AnnounceAddress(domain, lifetimes=True))

    def drain(self) -> None:
        """Read all that waits."""
        while True:
            try:
                self.take(self._subscriber.receive_nowait())
            except trio.WouldBlock:
                return

    async def keep_up(self) -> None:
        while True:
            for message in await self._subscriber.receive_batch():
                self.take(message)

    async def be_slow(self) -> None:
        while True:
            self.take(await self._subscriber.receive())
            await trio.sleep(random.uniform(0, 0.1))

    def told(self) -> Truth:
        """In the form that ``ip`` shares."""
        news = self.checker.told.values()
        links = [each for each in news if isinstance(each, InterfaceAnnouncement)]
        names = {each.interface: each.name for each in links}
        return (
            frozenset((each.name, each.details.mtu, each.details.up) for each in links),
            frozenset(
                (names[self.checker.owners[each.domain]], str(each.address), each.prefix_length)
                for each in news
                if isinstance(each, AddressAnnouncement)
            ),
        )


async def weather(host: Namespace, receive_buffer: int, count: int, lines: Sequence[str]) -> SourceStatistics:
    """Let the storm pass over so many subscribers, and check what each of them was told."""
    async with open_mif(receive_buffer) as mif, AsyncExitStack() as stack:
        opening = [mif.open_subscriber(max_buffer_size=random.choice([1, 50, 1000])) for _ in range(count)]
        followers = [Follower(await stack.enter_async_context(each)) for each in opening]
        async with trio.open_nursery() as nursery:
            for number, follower in enumerate(followers):
                if number < 3 or number % 3 == 0:  # the others are asleep
                    nursery.start_soon(follower.keep_up if number < 3 else follower.be_slow)
            if receive_buffer == DEFAULT_BUFFER_OCTETS:
                nursery.start_soon(block_trio)
            await storm(host, [*lines, LAST])
            nursery.cancel_scope.cancel()
        await settle(host, mif, followers)
        (statistics,) = mif.statistics().sources
        print(
            receive_buffer,
            count,
            statistics,
            sorted(each.received for each in followers)[-4:],
            [each._subscriber.statistics().skipped for each in followers][:4],
        )
        return statistics


async def block_trio() -> None:
    """What a program must not do, and does: nobody reads the kernel's news meanwhile."""
    while True:
        await trio.sleep(0.2)
        time.sleep(0.1)  # noqa: ASYNC251 - that is the point


async def settle(host: Namespace, mif: Mif, followers: Sequence[Follower]) -> None:
    """Read until everybody was told what is, and then nothing more comes."""
    is_ = truth(host)
    with trio.move_on_after(SETTLING_SECONDS):
        while not all(follower.told() == is_ for follower in followers):
            await trio.sleep(0.05)
            for follower in followers:
                follower.drain()
    for follower in followers:
        told = follower.told()
        assert [a - b for a, b in zip(told, is_, strict=True)] == [frozenset()] * 2, "told, and not so"
        assert [b - a for a, b in zip(told, is_, strict=True)] == [frozenset()] * 2, "so, and not told"
        follower.checker.at_rest(present_of(mif.snapshot()))


# ---------------------------------------------------------------- the storms

each_weather = pytest.mark.parametrize(
    ("receive_buffer", "count"),
    [(DEFAULT_BUFFER_OCTETS, 1), (RECEIVE_BUFFER_OCTETS, 10), (DEFAULT_BUFFER_OCTETS, 100)],
)
"""The kernel's buffer, and how many subscribers listen."""


def changes_of_addresses() -> list[str]:
    """Half of the addresses come and go, of the others the lifetimes change."""
    flighty = {f"198.51.100.{host}/24 dev up0": False for host in FLIGHTY}  # whether it has gone
    lines = []
    for number in range(CHANGES):
        if number % 2:
            each = random.choice(list(flighty))
            lines.append(f"address {'add' if flighty[each] else 'delete'} {each}")
            flighty[each] = not flighty[each]
        else:
            seconds = random.randrange(1000, 1_000_000)
            each = f"198.51.100.{random.choice(STEADY)}/24 dev up0"
            lines.append(f"address change {each} valid_lft {seconds} preferred_lft {seconds}")
    return lines


@each_weather
async def test_addresses_come_and_go(host: Namespace, receive_buffer: int, count: int) -> None:
    statistics = await weather(host, receive_buffer, count, changes_of_addresses())
    if receive_buffer == DEFAULT_BUFFER_OCTETS:
        assert statistics.overruns > 0
    assert statistics.resynchronisations > (statistics.overruns > 0)


@each_weather
async def test_links_are_deleted_and_made_again_under_the_same_name(
    host: Namespace, receive_buffer: int, count: int
) -> None:
    again = [
        "link delete up1",
        "link add up1 type veth peer name up1-peer",
        "link set up1-peer up",
        "link set up1 up",
        "address add 203.0.113.2/24 dev up1",
    ]
    await weather(host, receive_buffer, count, again * 40)


@each_weather
async def test_two_interfaces_swap_their_names(host: Namespace, receive_buffer: int, count: int) -> None:
    swap = ["link set up0 name up9", "link set up1 name up0", "link set up9 name up1"]
    await weather(host, receive_buffer, count, swap * 301)
