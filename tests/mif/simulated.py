"""A MIF on a simulated host: facts, DNS answers and TCP peers as a test dictates, on Trio's mock clock."""

from __future__ import annotations

import errno
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import trio
from attrs import define, field

from trimif import Announcement, Mif, NotConnectedReason, Subscriber, TranslationOutcome
from trimif._core import Core
from trimif._errors import ConnectFailed, MalformedInput
from trimif._facts import (
    AddressFact,
    AllLeases,
    Fact,
    Lease,
    LinkFact,
    RouteFact,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._mif import run_element
from trimif._model import DomainView, InterfaceKind, IPAddress, Origin
from trimif._sources import Report, SourceStatistics


@define
class Peer:
    """What happens when an address is dialled: after `delay` seconds it accepts, or fails for `reason`."""

    delay: float = 0.0
    reason: NotConnectedReason | None = None


@define(eq=False)
class SimulatedHost:
    """The source of the facts, and what is behind the networks. Peers and names go by the name of the domain."""

    names: dict[tuple[str, str], list[tuple[float, str]]] = field(factory=dict)
    peers: dict[tuple[str, str], Peer] = field(factory=dict)
    dialled: list[tuple[float, str, str]] = field(factory=list)
    streams: list[trio.SocketStream] = field(factory=list)
    unwound: list[str] = field(factory=list)
    initial: Sequence[Fact] = ()
    name: str = "simulated"
    _report: Report | None = None

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """A source: the initial facts, then whatever `report` is told."""
        self._report = report
        report(self.initial)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self.unwound.append("source")

    def statistics(self) -> SourceStatistics:
        """None worth telling."""
        return SourceStatistics(self.name)

    def report(self, *facts: Fact) -> None:
        """Something happens on the host."""
        assert self._report is not None
        self._report(facts)

    async def translate(
        self,
        view: DomainView,
        name: str,
        tell: Callable[[IPAddress], None],
        *,
        note_malformed: Callable[[MalformedInput], None],
    ) -> TranslationOutcome:
        """Tell the addresses when their time comes; a name that nobody knows never ends."""
        answers = self.names.get((view.name, name))
        try:
            if answers is None:
                await trio.sleep_forever()
            for at, address in answers or ():
                await trio.sleep(at)
                tell(ip_address(address))
            await trio.lowlevel.checkpoint()
            return TranslationOutcome.ANSWERED if answers else TranslationOutcome.NO_SUCH_NAME
        finally:
            self.unwound.append(f"lookup of {name} in {view.name}")

    async def connect(
        self, view: DomainView, address: IPAddress, port: int, *, source: IPAddress | None
    ) -> trio.SocketStream:
        """As the peer dictates; one that is not known stays silent."""
        self.dialled.append((trio.current_time(), view.name, str(address)))
        peer = self.peers.get((view.name, str(address)), Peer(math.inf))
        try:
            await trio.sleep(peer.delay)
        finally:
            self.unwound.append(f"connect to {address} in {view.name}")
        if peer.reason is not None:
            raise ConnectFailed(errno.ECONNREFUSED, peer.reason, f"{address} port {port} through {view.name} refused")
        ours, theirs = trio.socket.socketpair()
        theirs.close()
        self.streams.append(stream := trio.SocketStream(ours))
        return stream

    def open_streams(self) -> list[trio.SocketStream]:
        """The connections that nobody has closed."""
        return [stream for stream in self.streams if stream.socket.fileno() >= 0]


@asynccontextmanager
async def open_simulated(host: SimulatedHost) -> AsyncIterator[Mif]:
    """`trimif.open_mif` on that host."""
    mif = Mif(Core("sim"), [host], translate=host.translate, connect=host.connect)
    async with run_element(mif):
        yield mif


# ---------------------------------------------------------------- a host with two networks


def link(index: int, name: str, *, up: bool = True, carrier: bool = True) -> LinkFact:
    """A link; index 1 is the loopback interface."""
    kind = InterfaceKind.LOOPBACK if index == 1 else InterfaceKind.ETHERNET
    return LinkFact(index, name, kind, 1500, up, carrier)


def address(index: int, text: str, **options: float) -> AddressFact:
    """An address; `valid_until` and `preferred_until` may be given."""
    where = ip_address(text)
    return AddressFact(index, where, 24 if where.version == 4 else 64, **options)  # type: ignore[arg-type]


def ipv4(index: int, name: str, until: float = math.inf) -> tuple[Fact, ...]:
    """A DHCPv4 lease with its address and route: the domain ``NAME/ipv4``."""
    router = IPv4Address(f"198.51.{index}.1")
    own = IPv4Address(f"198.51.{index}.10")
    lease = Lease(name, Origin("dhclient", router), own, 24, until, routers=(router,), dns_servers=(router,))
    route = RouteFact(index, ip_network("0.0.0.0/0"), router, protocol=RouteProtocol.DHCP)
    return AllLeases(f"dhclient {index}", (lease,)), address(index, str(own)), route


def ipv6(index: int, until: float = math.inf) -> tuple[Fact, ...]:
    """A router advertisement and the address made of it: the domain ``NAME/ipv6``."""
    from trimif._facts import AdvertisedPrefix

    prefix = AdvertisedPrefix(IPv6Network(f"2001:db8:{index}::/64"), True, True, until, until)
    router = IPv6Address(f"fe80::{index}")
    server = (IPv6Address(f"2001:db8:{index}::53"), until)
    advertisement = RouterAdvertisement(index, router, RouterHeader(until), prefixes=(prefix,), dns_servers=(server,))
    return advertisement, address(index, f"2001:db8:{index}::10", valid_until=until, preferred_until=until)


LOOPBACK: tuple[Fact, ...] = (link(1, "lo"), address(1, "127.0.0.1"), address(1, "::1"))
FIGURE_2: tuple[Fact, ...] = (
    *LOOPBACK,
    link(2, "eth0"),
    link(3, "wa0"),
    *ipv4(2, "eth0"),
    *ipv6(2),
    *ipv6(3),
)
"""The host of the draft's figure 2: eth0 with two domains, wa0 with one."""


def drain(subscriber: Subscriber) -> list[Announcement]:
    """Everything that can be received without waiting."""
    messages = []
    while True:
        try:
            messages.append(subscriber.receive_nowait())
        except trio.WouldBlock:
            return messages
