"""The netlink source on a real kernel: what it told at rest is what ``ip`` says, whatever happened before."""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
import trio
import trio.testing

from trimif._facts import AdvertisedPrefix, AllRoutes, LinkFact, RouteFact, RouterAdvertisement, RouterHeader
from trimif._model import InterfaceKind
from trimif._sources import _netlink_dump, netlink
from trimif._sources._netlink_kinds import LinkKinds
from trimif._sources._netlink_socket import receive_datagram, receive_nowait
from trimif._sources.netlink import NetlinkSource
from trimif._wire.neighbour_discovery import encode_router_advertisement
from trimif._wire.netlink_facts import Tables
from trimif.testing._namespaces import Namespace

from .netlink_host import Mirror, configure, make_pair, run_beside, start_batch, truth, until, wait_for_truth

pytestmark = pytest.mark.lab


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A namespace with loopback and eth0, in which the test itself runs: sockets that it opens belong there."""
    namespace = Namespace("host")
    try:
        configure(namespace, "link set lo up")
        make_pair(namespace, "eth0")
        configure(
            namespace,
            "address add 198.51.100.10/26 dev eth0",
            "address add 2001:db8:a::10/64 dev eth0 nodad",
            "route add default via 198.51.100.1 dev eth0 metric 100",
            "route add ::/0 via 2001:db8:a::1 dev eth0 metric 100",
        )
        with namespace.entered():
            yield namespace
    finally:
        namespace.close()


@asynccontextmanager
async def following(source: NetlinkSource) -> AsyncIterator[Mirror]:
    mirror = Mirror()
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, mirror.report)
        yield mirror
        nursery.cancel_scope.cancel("the test is done")


# ---------------------------------------------------------------- the start, and single changes


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


# ---------------------------------------------------------------- in the middle of a dump


class Interruption:
    """Runs a step after the first datagram of each dump of routes, or of addresses, so that it falls in the middle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: int, step: partial[None]) -> None:
        self.times = 0
        self._kind = kind
        self._step = step
        self._receive = receive_datagram
        monkeypatch.setattr(_netlink_dump, "receive_datagram", self.receive_datagram)

    async def receive_datagram(self, opened: socket.socket) -> bytes:
        datagram = await self._receive(opened)
        _length, kind, _flags, _sequence, _port = struct.unpack_from("=IHHII", datagram)
        if kind == self._kind and not self.times:
            self.times += 1
            self._step()
        return datagram


NEWADDR, NEWROUTE = 20, 24


def fill(host: Namespace) -> None:
    """Tables that take several datagrams to dump; IPv4 routes are dumped in their order, the newest addresses last."""
    configure(
        host,
        *(f"address add 198.51.100.{1 + host_part}/32 dev eth0-peer" for host_part in range(250)),
        *(f"address add 2001:db8:c::{1 + host_part:x}/128 dev eth0-peer" for host_part in range(1500)),
        *(
            f"route add 203.0.113.{host_part}/32 via 198.51.100.1 dev eth0 metric {metric}"
            for host_part in range(1, 251)
            for metric in range(4)
        ),
    )


MIDDLE = [
    pytest.param(NEWROUTE, "route add 192.0.2.1/32 via 198.51.100.1 dev eth0", id="route added before the cursor"),
    pytest.param(NEWROUTE, "route add 203.0.113.254/32 via 198.51.100.1 dev eth0", id="route added behind it"),
    pytest.param(NEWROUTE, "route delete 203.0.113.1/32 metric 0", id="route deleted that was dumped"),
    pytest.param(NEWROUTE, "route delete 203.0.113.250/32 metric 3", id="route deleted that was not"),
    pytest.param(NEWADDR, "address add 127.0.0.2/8 dev lo", id="address added before the cursor"),
    pytest.param(NEWADDR, "address delete 198.51.100.1/32 dev eth0-peer", id="address deleted that was dumped"),
    pytest.param(NEWADDR, "link delete eth0", id="link deleted that was dumped"),
]


@pytest.mark.parametrize(("kind", "line"), MIDDLE)
async def test_in_the_middle_of_the_first_dump(
    host: Namespace, kind: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(host)
    interruption = Interruption(monkeypatch, kind, partial(configure, host, line))
    async with following(NetlinkSource()) as mirror:
        assert interruption.times == 1
        if "link" not in line:  # the source does not know yet which routes the link took along; it asks once more
            assert mirror.state() == truth(host)
        await wait_for_truth(mirror, host)


@pytest.mark.parametrize(("kind", "line"), MIDDLE)
async def test_in_the_middle_of_a_later_dump(
    host: Namespace, kind: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an event told is not taken back by the dump that it fell into, not even for a moment."""
    fill(host)
    source = NetlinkSource()
    async with following(source) as mirror:
        seen: set[int] = set()

        def note_difference() -> None:
            seen.add(len(mirror.routes) + len(mirror.addresses))

        interruption = Interruption(monkeypatch, kind, partial(configure, host, line))
        before = len(mirror.routes) + len(mirror.addresses)
        mirror.after_report = note_difference
        source._mark_stale(Tables.ALL)  # as an overrun does
        await until(lambda: interruption.times > 0)
        await wait_for_truth(mirror, host)
        if "link" not in line:
            assert len(seen - {before}) == 1, "the numbers went from before to after, and to nothing else"


# ---------------------------------------------------------------- overruns


def storm(link: str, rounds: int) -> list[str]:
    """Many changes of addresses and routes that leave every third one of them behind."""
    lines = []
    for number in range(rounds):
        address = f"2001:db8:b::{number + 1:x}/128"
        route = f"203.0.113.{number % 250}/32 via 198.51.100.1 dev {link} metric {number}"
        lines += [f"address add {address} dev {link}", f"route add {route}"]
        if number % 3:
            lines += [f"address delete {address} dev {link}", f"route delete {route}"]
    return lines


async def test_an_overrun_while_nobody_reads(host: Namespace) -> None:
    source = NetlinkSource(receive_buffer=2304)
    async with following(source) as mirror:
        configure(host, *storm("eth0", 300), "link add late0 type bridge")
        await wait_for_truth(mirror, host)
        assert source.statistics().overruns > 0
        assert source.statistics().resynchronisations > 1


async def test_overruns_and_dumps_in_a_long_storm(host: Namespace) -> None:
    """The storm goes on while dumps are read, so overruns fall into resynchronisations as well."""
    source = NetlinkSource(receive_buffer=2304)
    async with following(source) as mirror:
        await run_beside(start_batch(host), storm("eth0", 1000))
        await wait_for_truth(mirror, host)
        assert source.statistics().overruns > 1


async def test_a_storm_neither_starves_a_dump_nor_waits_for_it(host: Namespace) -> None:
    """While it goes on the source starts, tells what it hears, and gets through another dump."""
    fill(host)
    source = NetlinkSource()
    toggle = ["route add 2001:db8:b::1/128 dev eth0", "route delete 2001:db8:b::1/128 dev eth0"] * 500
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            calm = trio.Event()
            nursery.start_soon(storm_until, calm, host, toggle)
            async with following(source) as mirror:
                dumps = source.statistics().resynchronisations
                facts = source.statistics().facts
                await until(lambda: source.statistics().resynchronisations > dumps)
                assert source.statistics().facts - facts > 1000
                calm.set()
                await wait_for_truth(mirror, host)


async def storm_until(calm: trio.Event, host: Namespace, lines: list[str]) -> None:
    """Repeat the commands, as fast as ``ip`` can, until the event is set."""
    process = start_batch(host)
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    async with trio.lowlevel.FdStream(os.dup(process.stdin.fileno())) as stream:
        process.stdin.close()
        while not calm.is_set():
            await stream.send_all("".join(f"{line}\n" for line in lines).encode())
    await until(lambda: process.poll() is not None)


# ---------------------------------------------------------------- router advertisements


class Router:
    """Sends router advertisements from the other end of eth0."""

    def __init__(self, namespace: Namespace) -> None:
        index = socket.if_nametoindex("eth0-peer")
        configure(namespace, "address add fe80::a:1/64 dev eth0-peer nodad")
        self._socket = namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        self._socket.bind(("fe80::a:1", 0, 0, index))
        self._everyone = ("ff02::1", 0, 0, index)

    def advertise(self, advertisement: RouterAdvertisement) -> None:
        self._socket.sendto(encode_router_advertisement(advertisement), self._everyone)

    def close(self) -> None:
        self._socket.close()


ROUTER = IPv6Address("fe80::a:1")
PREFIX = IPv6Network("2001:db8:d::/64")


@pytest.fixture
def router(host: Namespace) -> Iterator[Router]:
    configure(host, "route delete ::/0")
    made = Router(host)
    yield made
    made.close()


def default_route(mirror: Mirror) -> RouteFact | None:
    return next((route for route in mirror.routes if route.gateway == ROUTER), None)


async def until_route_lasts(mirror: Mirror, seconds: tuple[float, float]) -> None:
    """Wait until the advertised default route is known with such a lifetime, seen from now."""

    def lasts() -> bool:
        route = default_route(mirror)
        return route is not None and seconds[0] < route.expires - trio.current_time() < seconds[1]

    await until(lasts)


async def test_options_of_an_advertisement(host: Namespace, router: Router) -> None:
    index = socket.if_nametoindex("eth0")
    async with following(NetlinkSource()) as mirror:
        router.advertise(
            RouterAdvertisement(
                0,
                ROUTER,
                RouterHeader(1800),
                prefixes=(AdvertisedPrefix(PREFIX, True, True, 3600, 1800),),
                dns_servers=((IPv6Address("2001:db8:a::53"), 600),),
                search_domains=(("isp-a.example", math.inf),),
            )
        )
        await until_route_lasts(mirror, (1700, 1801))
        await wait_for_truth(mirror, host)
        now = trio.current_time()
        told = [each for each in mirror.advertisements if each.index == index]
        assert {each.router for each in told} == {ROUTER}
        assert {each.header for each in told} == {None}
        ((prefix,),) = [each.prefixes for each in told if each.prefixes]
        assert prefix.prefix == PREFIX
        assert prefix.valid_until == pytest.approx(now + 3600, abs=5)
        (((server, until),),) = [each.dns_servers for each in told if each.dns_servers]
        assert server == IPv6Address("2001:db8:a::53")
        assert until == pytest.approx(now + 600, abs=5)
        assert [each.search_domains for each in told if each.search_domains] == [(("isp-a.example", math.inf),)]


async def test_a_lifetime_that_is_renewed_without_an_event(router: Router) -> None:
    """A second advertisement gives the same route more time; the kernel says nothing about the route."""
    options = RouterAdvertisement(0, ROUTER, RouterHeader(60), dns_servers=((IPv6Address("2001:db8:a::53"), 60),))
    async with following(NetlinkSource()) as mirror:
        router.advertise(options)
        await until_route_lasts(mirror, (50, 61))
        router.advertise(RouterAdvertisement(0, ROUTER, RouterHeader(1800), dns_servers=options.dns_servers))
        await until_route_lasts(mirror, (1700, 1801))


async def test_a_lifetime_that_is_renewed_without_any_event(router: Router) -> None:
    """Without options there is not even the option's event: the source asks shortly before the route expires."""
    async with following(NetlinkSource()) as mirror:
        router.advertise(RouterAdvertisement(0, ROUTER, RouterHeader(2)))
        await until_route_lasts(mirror, (0, 2.01))
        reports = len(mirror.reports)
        router.advertise(RouterAdvertisement(0, ROUTER, RouterHeader(1800)))
        await until_route_lasts(mirror, (1700, 1801))
        assert all(isinstance(fact, AllRoutes) for facts in mirror.reports[reports + 1 :] for fact in facts)


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


# ---------------------------------------------------------------- kinds of links, from sysfs


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("DEVTYPE=wlan\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.WIFI),
        ("DEVTYPE=wwan\nINTERFACE=x0\nIFINDEX=3\n", InterfaceKind.CELLULAR),
        ("INTERFACE=x0\nIFINDEX=3\n", InterfaceKind.ETHERNET),
        ("DEVTYPE=wlan\nINTERFACE=x0\nIFINDEX=4\n", InterfaceKind.ETHERNET),  # of another network namespace
        (None, InterfaceKind.ETHERNET),
    ],
)
def test_kinds_from_sysfs(tmp_path: Path, text: str | None, kind: InterfaceKind) -> None:
    if text is not None:
        (tmp_path / "x0").mkdir()
        (tmp_path / "x0" / "uevent").write_text(text)
    kinds = LinkKinds(tmp_path)
    link = LinkFact(3, "x0", InterfaceKind.ETHERNET, 1500, up=True, carrier=True)
    assert kinds.refine(link).kind is kind


def test_kinds_are_read_once_for_each_link(tmp_path: Path) -> None:
    (tmp_path / "x0").mkdir()
    file = tmp_path / "x0" / "uevent"
    file.write_text("DEVTYPE=wlan\nIFINDEX=3\n")
    kinds = LinkKinds(tmp_path)
    link = LinkFact(3, "x0", InterfaceKind.ETHERNET, 1500, up=True, carrier=True)
    assert kinds.refine(link).kind is InterfaceKind.WIFI
    file.write_text("IFINDEX=3\n")
    assert kinds.refine(link).kind is InterfaceKind.WIFI
    kinds.forget(3)
    assert kinds.refine(link).kind is InterfaceKind.ETHERNET
