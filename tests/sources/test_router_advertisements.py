"""Router advertisements heard on a real link: two network namespaces with a cable between them."""

from __future__ import annotations

import ctypes
import math
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
import trio
from attrs import evolve

from trimif._facts import (
    AdvertisedDomain,
    AdvertisedPrefix,
    AdvertisedRoute,
    Fact,
    Limitation,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import EncryptedDnsServer, PvdOption, RawOption
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._wire.neighbour_discovery import encode_router_advertisement

from .router_link import ALL_NODES, ROUTER, Link, ip, linked, running

pytestmark = pytest.mark.lab

OPTIONS = RouterAdvertisement(
    index=0,
    router=ROUTER,
    mtu=1460,
    prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:a::/64"), True, False, math.inf, 600),),
    routes=(AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), 1, 600),),
    dns_servers=((IPv6Address("2001:db8:a::53"), 600), (IPv6Address("2001:db8:a::54"), 0)),
    search_domains=(("isp-a.example", 600),),
    captive_portal="https://portal.example/api",
    pref64=((IPv6Network("64:ff9b::/96"), 600),),
    encrypted_dns=((EncryptedDnsServer(1, "dns.isp-a.example", (IPv6Address("2001:db8:a::53"),), ("dot",)), 600),),
)
ADVERTISED = evolve(
    OPTIONS,
    header=RouterHeader(1800, True, preference=-1, hop_limit=64, reachable_time=30, retransmission_time=1.5),
    domain=AdvertisedDomain(
        PvdOption("pvd.isp-a.example", http=True, legacy=True, delay=3, sequence=7),
        evolve(OPTIONS, header=RouterHeader(900), mtu=1400),
    ),
    raw_options=(RawOption(1, bytes.fromhex("0200 0000 0a01")),),
)
OCTETS = encode_router_advertisement(ADVERTISED)


@pytest.fixture
def link() -> Iterator[Link]:
    with linked() as made:
        yield made


# ---------------------------------------------------------------- listening


async def test_all_of_an_advertisement_is_heard(link: Link) -> None:
    async with running(link.host) as host:
        link.send(OCTETS)
        advertisement = await host.next_advertisement()
        assert (advertisement.index, advertisement.router) == (link.index, ROUTER)
        # The encoder turns deadlines back into the lifetimes that were sent.
        assert encode_router_advertisement(advertisement, trio.current_time()) == OCTETS
        assert advertisement.prefixes[0].valid_until == math.inf
        assert advertisement.domain is not None
        assert (advertisement.domain.content.index, advertisement.domain.content.router) == (link.index, ROUTER)


async def test_a_lifetime_of_zero_is_a_deadline_that_has_come(link: Link) -> None:
    async with running(link.host) as host:
        link.send(OCTETS)
        (_address, until) = (await host.next_advertisement()).dns_servers[1]
        assert until <= trio.current_time()


async def test_what_may_come_from_elsewhere_is_refused(link: Link) -> None:
    ip(link.router, "addr add 2001:db8:a::1/64 dev isp0 nodad")
    async with running(link.host) as host:
        link.send(OCTETS, hop_limit=64)
        link.send(OCTETS, hop_limit=254)
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
        assert advertisement.raw_options[1:] == (RawOption(5, bytes.fromhex("0000 00000001")),)
        good = evolve(advertisement, raw_options=advertisement.raw_options[:1])
        assert encode_router_advertisement(good, trio.current_time()) == OCTETS
        assert host.source.statistics().malformed == 4


async def test_a_flood_is_read_to_its_end(link: Link) -> None:
    async with running(link.host) as host:
        for mtu in range(2000, 2200):
            link.send(evolved_octets(mtu=mtu))
        assert [(await host.next_advertisement()).mtu for _ in range(200)] == list(range(2000, 2200))


async def test_other_icmpv6_is_not_heard(link: Link) -> None:
    async with running(link.host) as host:
        link.send(bytes([128, 0, 0, 0, 0, 0, 0, 0]))
        link.send(OCTETS)
        await host.next_advertisement()
        assert host.source.statistics().malformed == 0


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
        link.send(OCTETS)
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
