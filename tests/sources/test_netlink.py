"""The netlink source on a real kernel: what it told at rest is what ``ip`` says, whatever changed before."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import trio
import trio.testing

from trimif._facts import AllRoutes, LinkFact, RouteFact
from trimif._sources import _netlink_dump, netlink
from trimif._sources._netlink_socket import receive_nowait
from trimif._sources.netlink import NetlinkSource
from trimif.testing._namespaces import Namespace

from .netlink_host import Mirror, configure, following, run_beside, start_batch, truth, wait_for_truth

pytestmark = pytest.mark.lab


async def test_the_first_report_is_the_whole_host(host: Namespace) -> None:
    source = NetlinkSource()
    async with following(source) as mirror:
        assert len(mirror.reports) == 1
        assert mirror.state() == truth(host)
        assert source.statistics().resynchronisations == 1


CHANGES = {
    "link down: IPv4 routes go without a word": ["link set eth0 down"],
    "link down and up: the default route does not come back": ["link set eth0 down", "link set eth0 up"],
    "link deleted": ["link delete eth0"],
    "link deleted and made again": ["link delete eth0", "link add eth0 type veth peer name eth0-peer"],
    "link renamed while up": ["link set eth0 name wan0"],
    "carrier lost": ["link set eth0-peer down"],
    "MTU changed": ["link set eth0 mtu 1400"],
    "port joins and leaves a bridge": [
        "link add br0 type bridge",
        "link set eth0 master br0",
        "link set eth0 nomaster",
    ],
    "last IPv4 address removed: routes go without a word": ["address delete 198.51.100.10/26 dev eth0"],
    "primary address removed: its secondary goes too": [
        "address add 198.51.100.11/26 dev eth0",
        "address delete 198.51.100.10/26 dev eth0",
    ],
    "one of two peers removed": [
        "address add 198.51.100.200 peer 198.51.100.201/32 dev eth0",
        "address add 198.51.100.200 peer 198.51.100.202/32 dev eth0",
        "address delete 198.51.100.200 peer 198.51.100.202/32 dev eth0",
    ],
    "address deprecated, with a lifetime": [
        "address change 2001:db8:a::10/64 dev eth0 valid_lft 1000 preferred_lft 0",
    ],
    "route replaced: the old one goes without a word": [
        "route add 203.0.113.0/24 via 198.51.100.1",
        "route replace 203.0.113.0/24 via 198.51.100.2",
    ],
    "IPv6 route replaced": [
        "route add 2001:db8:f::/48 via 2001:db8:a::1",
        "route replace 2001:db8:f::/48 via 2001:db8:a::2",
    ],
    "multipath routes": [
        "route add 203.0.113.0/24 nexthop via 198.51.100.1 nexthop via 198.51.100.2",
        "route add 2001:db8:f::/48 nexthop via 2001:db8:a::1 dev eth0 nexthop via 2001:db8:a::2 dev eth0",
        "route append 2001:db8:f::/48 via 2001:db8:a::3",
        "route delete 2001:db8:f::/48 via 2001:db8:a::1",
    ],
    "multipath route deleted": [
        "route add 203.0.113.0/24 nexthop via 198.51.100.1 nexthop via 198.51.100.2",
        "route delete 203.0.113.0/24",
    ],
    "routes that differ in the type of service only": [
        "route add 203.0.113.0/24 via 198.51.100.1",
        "route add 203.0.113.0/24 tos 0x10 via 198.51.100.1",
        "route delete 203.0.113.0/24 tos 0x10",
    ],
    "routes of other tables and other types": [
        "route add 203.0.113.0/24 via 198.51.100.1 table 1000",
        "route add 203.0.113.9/32 via inet6 fe80::1 dev eth0",
        "route add blackhole 203.0.113.7/32",
        "route add 2001:db8:e::/48 via 2001:db8:a::1 expires 500",
    ],
    "next hop objects": [
        "nexthop add id 5 via 2001:db8:a::7 dev eth0",
        "route add 2001:db8:7::/48 nhid 5",
        "nexthop replace id 5 via 2001:db8:a::8 dev eth0",
    ],
    "next hop object deleted": [
        "nexthop add id 5 via 2001:db8:a::7 dev eth0",
        "route add 2001:db8:7::/48 nhid 5",
        "nexthop delete id 5",
    ],
}


@pytest.mark.parametrize("name", CHANGES)
async def test_after_a_change(host: Namespace, name: str) -> None:
    async with following(NetlinkSource()) as mirror:
        for line in CHANGES[name]:
            configure(host, line)
            await trio.testing.wait_all_tasks_blocked()
        await wait_for_truth(mirror, host)


@pytest.mark.parametrize("name", CHANGES)
async def test_after_changes_at_once(host: Namespace, name: str) -> None:
    async with following(NetlinkSource()) as mirror:
        configure(host, *CHANGES[name])
        await wait_for_truth(mirror, host)


async def test_link_down_never_leaves_an_ipv4_route(host: Namespace) -> None:
    """The event comes before the kernel flushes the routes; a dump must not overtake the flush."""
    async with following(NetlinkSource()) as mirror:
        toggle = ["link set eth0 down", "link set eth0 up", "route add 203.0.113.0/24 dev eth0"]
        await run_beside(start_batch(host), toggle * 50 + ["link set eth0 down"])
        await wait_for_truth(mirror, host)
        assert not [route for route in mirror.routes if route.destination.version == 4]


# ---------------------------------------------------------------- hostile and broken input, cancellation


def event_port() -> int:
    """The port id of the one netlink socket here that is in multicast groups."""
    lines = Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    (port,) = [int(row[2]) for row in rows if row[1] == "0" and int(row[3], 16) != 0]
    return port


async def test_what_another_process_sends_is_not_the_kernels(host: Namespace) -> None:
    source = NetlinkSource()
    deletion = struct.pack("=IHHIIBxHiII", 32, 17, 0, 0, 0, 0, 1, socket.if_nametoindex("eth0"), 0, 0)
    async with following(source) as mirror:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as forger:
            forger.sendto(deletion, (event_port(), 0))
        configure(host, "link set eth0 mtu 1400")
        await wait_for_truth(mirror, host)
        assert all(isinstance(fact, (LinkFact, AllRoutes)) for facts in mirror.reports[1:] for fact in facts)


async def test_malformed_events_are_counted_and_skipped(
    host: Namespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A message of a datagram is skipped by itself; of a broken datagram what came before the break counts."""
    route = bytes([2, 24, 0, 0, 254, 4, 0, 1]) + bytes(4) + struct.pack("=HHI", 8, 4, 3)
    good = route + struct.pack("=HH4s", 8, 1, bytes([203, 0, 113, 0]))
    bad = route + struct.pack("=HH4s", 9, 1, bytes([203, 0, 113, 0]))

    def frame(body: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(body), 24, 0, 0, 0) + body

    datagrams = [frame(bad) + frame(good), frame(good)[:-1], os.urandom(15)]
    receive = receive_nowait
    monkeypatch.setattr(netlink, "receive_nowait", lambda opened: datagrams.pop() if datagrams else receive(opened))
    source = NetlinkSource()
    with caplog.at_level(logging.DEBUG, "trimif.netlink"):
        async with following(source) as mirror:
            assert RouteFact(3, IPv4Network("203.0.113.0/24"), protocol=4) in mirror.routes
            assert source.statistics().malformed == len(caplog.records) == 3
            assert {record.levelname for record in caplog.records} == {"DEBUG"}


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.usefixtures("host")
async def test_cancelled_at_any_checkpoint_it_leaves_no_socket() -> None:
    before = open_descriptors()
    mirror = Mirror()
    for checkpoints in range(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(NetlinkSource().run, mirror.report)
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel("now")
        await trio.lowlevel.checkpoint()
        assert open_descriptors() == before
    assert mirror.reports, "the last ones were cancelled after the first dump"


def _is_invalid(error: OSError) -> bool:
    return error.errno == errno.EINVAL


@pytest.mark.usefixtures("host")
async def test_a_refused_dump_ends_the_source_and_its_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump of links can't be restricted to one link; the kernel says so in the message that ends the dump."""

    def ill_formed(sequence: int) -> bytes:
        return struct.pack("=IHHIIBxHiII", 32, 18, 0x301, sequence, 0, 0, 0, 99, 0, 0)

    monkeypatch.setattr(_netlink_dump, "dump_links", ill_formed)
    before = open_descriptors()
    with (
        trio.fail_after(5),
        pytest.RaisesGroup(pytest.RaisesExc(OSError, check=_is_invalid)),
    ):
        await NetlinkSource().run(Mirror().report)
    assert open_descriptors() == before
