"""Router advertisements on a real link: two network namespaces with a cable between them."""

from __future__ import annotations

import ctypes
import math
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve, frozen

from trimif._facts import (
    AdvertisedPrefix,
    AdvertisedRoute,
    Fact,
    Limitation,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._wire.neighbour_discovery import ROUTER_SOLICITATION, encode_router_advertisement
from trimif.testing._namespaces import Namespace

pytestmark = pytest.mark.lab

ROUTER = IPv6Address("fe80::1")
HOST = IPv6Address("fe80::2")
ALL_NODES = "ff02::1"
ALL_ROUTERS = "ff02::2"
ICMP6_FILTER = 1

ADVERTISED = RouterAdvertisement(
    index=0,
    router=ROUTER,
    header=RouterHeader(until=1800, managed=True, preference=-1, hop_limit=64),
    mtu=1460,
    prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:a::/64"), True, False, math.inf, 600),),
    routes=(AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), 1, 600),),
    dns_servers=((IPv6Address("2001:db8:a::53"), 600), (IPv6Address("2001:db8:a::54"), 0)),
    search_domains=(("isp-a.example", 600),),
)
OCTETS = encode_router_advertisement(ADVERTISED)


@frozen
class Link:
    """A host and a router, the interfaces between them, and the router's raw socket."""

    host: Namespace
    router: Namespace
    index: int
    socket: socket.socket

    def send(self, octets: bytes = OCTETS, *, hop_limit: int = 255, to: str = ALL_NODES) -> None:
        for option in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
            self.socket.setsockopt(socket.IPPROTO_IPV6, option, hop_limit)
        self.socket.sendto(octets, (to, 0, 0, self.interface))

    @property
    def interface(self) -> int:
        with self.router.entered():
            return socket.if_nametoindex("isp0")

    async def receive_solicitation(self) -> tuple[IPv6Address, int]:
        """The next solicitation's source and hop limit; it is due now, not after the four seconds to the next."""
        with trio.fail_after(3):
            await trio.lowlevel.wait_readable(self.socket)
        octets, ancillary, _flags, sender = self.socket.recvmsg(1500, 100)
        assert octets[0] == ROUTER_SOLICITATION
        ((_level, _kind, hop_limit),) = ancillary
        return IPv6Address(sender[0].partition("%")[0]), struct.unpack("@i", hop_limit)[0]


def ip(namespace: Namespace, command: str) -> None:
    namespace.run(["ip", *command.split()], check=True)


def make_link(host: Namespace, router: Namespace) -> socket.socket:
    """A cable, link-local addresses without the wait for duplicates, and a host that does not solicit by itself."""
    for namespace in (host, router):
        for key in ("accept_dad", "router_solicitations", "addr_gen_mode"):
            namespace.write_sysctl(f"net/ipv6/conf/default/{key}", int(key == "addr_gen_mode"))
    ip(host, f"link add eth0 type veth peer name isp0 netns {router.path}")
    for namespace, name, address in ((host, "eth0", HOST), (router, "isp0", ROUTER)):
        ip(namespace, f"link set {name} up")
        ip(namespace, f"addr add {address}/64 dev {name} nodad")
    speaker = router.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    with router.entered():
        membership = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", socket.if_nametoindex("isp0"))
    only_solicitations = [0xFFFFFFFF & ~(1 << 5 if word == ROUTER_SOLICITATION // 32 else 0) for word in range(8)]
    speaker.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("@8I", *only_solicitations))
    speaker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    speaker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return speaker


@pytest.fixture
def link() -> Iterator[Link]:
    with closing(Namespace("host")) as host, closing(Namespace("router")) as router:
        with make_link(host, router) as speaker:
            with host.entered():
                index = socket.if_nametoindex("eth0")
            yield Link(host, router, index, speaker)


@frozen
class Running:
    """A source at work in a namespace, and what it reports."""

    source: RouterAdvertisementSource
    facts: trio.MemoryReceiveChannel[Fact]

    async def next_advertisement(self) -> RouterAdvertisement:
        with trio.fail_after(30):
            fact = await self.facts.receive()
        assert isinstance(fact, RouterAdvertisement)
        return fact


@asynccontextmanager
async def running(namespace: Namespace) -> AsyncIterator[Running]:
    source = RouterAdvertisementSource()
    sender, receiver = trio.open_memory_channel[Fact](1000)

    def report(facts: Sequence[Fact]) -> None:
        for fact in facts:
            sender.send_nowait(fact)

    async with trio.open_nursery() as nursery:
        with namespace.entered():
            await nursery.start(source.run, report)
        yield Running(source, receiver)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- listening


async def test_all_of_an_advertisement_is_heard(link: Link) -> None:
    async with running(link.host) as host:
        link.send()
        advertisement = await host.next_advertisement()
        assert (advertisement.index, advertisement.router) == (link.index, ROUTER)
        # The encoder turns deadlines back into the lifetimes that were sent.
        assert encode_router_advertisement(advertisement, trio.current_time()) == OCTETS
        assert advertisement.prefixes[0].valid_until == math.inf


async def test_a_lifetime_of_zero_is_a_deadline_that_has_come(link: Link) -> None:
    async with running(link.host) as host:
        link.send()
        (_address, until) = (await host.next_advertisement()).dns_servers[1]
        assert until <= trio.current_time()


async def test_what_may_come_from_elsewhere_is_refused(link: Link) -> None:
    ip(link.router, "addr add 2001:db8:a::1/64 dev isp0 nodad")
    async with running(link.host) as host:
        link.send(hop_limit=64)
        link.send(hop_limit=254)
        with link.router.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as stranger:
            stranger.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            stranger.bind(("2001:db8:a::1", 0))
            stranger.sendto(OCTETS, (ALL_NODES, 0, 0, link.interface))
        link.send(evolved_octets(mtu=1500))
        assert (await host.next_advertisement()).mtu == 1500
        assert host.source.statistics().malformed == 3
        assert host.source.statistics().facts == 1


def evolved_octets(**changes: Any) -> bytes:
    return encode_router_advertisement(evolve(ADVERTISED, **changes))


async def test_malformed_messages_are_dropped_and_counted(link: Link) -> None:
    async with running(link.host) as host:
        link.send(OCTETS[:1] + b"\x01" + OCTETS[2:])
        link.send(OCTETS[:12])
        link.send(OCTETS + b"\x01\x00")
        link.send(OCTETS + bytes.fromhex("05010000 00000001"))
        advertisement = await host.next_advertisement()
        assert encode_router_advertisement(advertisement, trio.current_time()) == OCTETS
        assert host.source.statistics().malformed == 4


async def test_a_flood_is_read_to_its_end(link: Link) -> None:
    async with running(link.host) as host:
        for mtu in range(2000, 2200):
            link.send(evolved_octets(mtu=mtu))
        assert [(await host.next_advertisement()).mtu for _ in range(200)] == list(range(2000, 2200))


async def test_other_icmpv6_is_not_heard(link: Link) -> None:
    async with running(link.host) as host:
        link.send(bytes([128, 0, 0, 0, 0, 0, 0, 0]))
        link.send()
        await host.next_advertisement()
        assert host.source.statistics().malformed == 0


# ---------------------------------------------------------------- soliciting


async def test_routers_are_solicited_at_the_start_and_answer(link: Link) -> None:
    async with running(link.host) as host:
        assert await link.receive_solicitation() == (HOST, 255)
        link.send(to=str(HOST))
        assert (await host.next_advertisement()).router == ROUTER


@pytest.fixture
def clock(mock_clock: trio.testing.MockClock) -> trio.testing.MockClock:
    """Time that runs as it does, so that limits hold, and can be made to jump."""
    mock_clock.rate = 1
    return mock_clock


async def test_three_solicitations_four_seconds_apart(link: Link, clock: trio.testing.MockClock) -> None:
    async with running(link.host) as host:
        for _ in range(3):
            await link.receive_solicitation()
            await assert_no_solicitation(link)
            clock.jump(4)
        await assert_no_solicitation(link)
        assert host.source.statistics().facts == 0


async def test_an_advertisement_ends_the_soliciting(link: Link, clock: trio.testing.MockClock) -> None:
    async with running(link.host) as host:
        await link.receive_solicitation()
        link.send()
        await host.next_advertisement()
        clock.jump(4)
        await assert_no_solicitation(link)


async def test_an_advertisement_of_no_default_router_does_not(link: Link, clock: trio.testing.MockClock) -> None:
    async with running(link.host) as host:
        await link.receive_solicitation()
        link.send(evolved_octets(header=RouterHeader(until=0)))
        await host.next_advertisement()
        clock.jump(4)
        await link.receive_solicitation()


async def assert_no_solicitation(link: Link) -> None:
    """None is on the way: a veth pair delivers while the sender still is in the system call."""
    await trio.testing.wait_all_tasks_blocked(0.01)
    with pytest.raises(BlockingIOError):
        link.socket.recvmsg(1500, 100)


async def test_an_interface_that_comes_up_later_is_solicited_when_asked_for(link: Link) -> None:
    ip(link.host, "link set eth0 down")
    async with running(link.host) as host:
        host.source.solicit(link.index)  # too early: it can't be sent, and does no harm
        await assert_no_solicitation(link)
        ip(link.host, "link set eth0 up")
        ip(link.host, f"addr add {HOST}/64 dev eth0 nodad")
        host.source.solicit(link.index)
        host.source.solicit(link.index)
        assert await link.receive_solicitation() == (HOST, 255)
        await assert_no_solicitation(link)


async def test_an_interface_that_never_was_is_not_solicited(link: Link) -> None:
    async with running(link.host) as host:
        host.source.solicit(7777)
        link.send()
        assert (await host.next_advertisement()).router == ROUTER


# ---------------------------------------------------------------- privilege and ends


CAP_NET_RAW = 13
CAPABILITY_VERSION_3 = 0x20080522


@contextmanager
def without_capability(number: int) -> Iterator[None]:
    """Take an effective capability from the calling thread, for the length of the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("@Ii", CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)
    assert libc.capget(header, sets) == 0
    before = sets.raw
    effective, *others = struct.unpack("@6I", before)
    assert libc.capset(header, struct.pack("@6I", effective & ~(1 << number), *others)) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


async def test_without_the_privilege_it_says_so_once_and_returns(link: Link) -> None:
    source = RouterAdvertisementSource()
    facts: list[Fact] = []
    async with trio.open_nursery() as nursery:
        with link.host.entered(), without_capability(CAP_NET_RAW):
            await nursery.start(source.run, facts.extend)
    (limitation,) = facts
    assert isinstance(limitation, Limitation)
    assert "CAP_NET_RAW" in limitation.remedy
    assert source.statistics().facts == 1
    source.solicit(link.index)  # harmless


async def test_cancelled_it_leaves_no_socket(link: Link) -> None:
    before = open_sockets()
    async with running(link.host) as host:
        link.send()
        await host.next_advertisement()
        (opened,) = open_sockets() - before
        assert not os.get_inheritable(opened)
    assert open_sockets() == before


def open_sockets() -> set[int]:
    """The descriptors of this process that are sockets."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that listed the directory
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.add(int(name))
    return found
