"""For the tests of the router advertisement source: a host and a router, with a cable between them."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from ipaddress import IPv6Address

import trio
from attrs import frozen

from trimif._facts import Fact, RouterAdvertisement
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._wire.neighbour_discovery import ROUTER_SOLICITATION
from trimif.testing._namespaces import Namespace

ROUTER = IPv6Address("fe80::1")
HOST = IPv6Address("fe80::2")
ALL_NODES = "ff02::1"
ALL_ROUTERS = "ff02::2"
ICMP6_FILTER = 1


@frozen
class Link:
    """A host and a router, the interfaces between them, and the router's raw socket."""

    host: Namespace
    router: Namespace
    index: int
    socket: socket.socket

    def send(self, octets: bytes, *, hop_limit: int = 255, to: str = ALL_NODES) -> None:
        for option in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
            self.socket.setsockopt(socket.IPPROTO_IPV6, option, hop_limit)
        self.socket.sendto(octets, (to, 0, 0, self.interface))

    @property
    def interface(self) -> int:
        with self.router.entered():
            return socket.if_nametoindex("isp0")

    def join(self, device: str) -> None:
        """Hear the solicitations that come in by another of the router's interfaces, too."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership_of(self.router, device))

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
    only_solicitations = [0xFFFFFFFF & ~(1 << 5 if word == ROUTER_SOLICITATION // 32 else 0) for word in range(8)]
    speaker.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("@8I", *only_solicitations))
    speaker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership_of(router, "isp0"))
    speaker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return speaker


def membership_of(router: Namespace, device: str) -> bytes:
    with router.entered():
        return socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", socket.if_nametoindex(device))


@contextmanager
def linked() -> Iterator[Link]:
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
