"""Dumps while the tables change, overruns and storms: nothing is lost, nothing comes back, nothing waits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Network

import pytest
import trio
import trio.testing

from trimif._facts import RouteFact
from trimif._sources import _netlink_dump
from trimif._sources._netlink_socket import receive_datagram
from trimif._sources.netlink import NetlinkSource
from trimif._wire.netlink import AF_INET, AF_INET6, NLMSG_DONE, Message, messages
from trimif._wire.netlink_facts import Tables
from trimif.testing._namespaces import Namespace

from .netlink_host import configure, following, is_at_rest, run_beside, start_batch, truth, until, wait_for_truth

pytestmark = pytest.mark.lab


# ---------------------------------------------------------------- in the middle of a dump


class Interruption:
    """Runs a step right after a certain datagram of a dump was received, and only once.

    Args:
        matches: whether a message is of the sort that makes its datagram count.
        after: the number of the datagram among those that count.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, matches: Callable[[Message], bool], step: partial[None], after: int = 1
    ) -> None:
        self.seen = 0
        self.after = after
        self._matches = matches
        self._step = step
        monkeypatch.setattr(_netlink_dump, "receive_datagram", self.receive_datagram)

    async def receive_datagram(self, opened: socket.socket) -> bytes:
        datagram = await receive_datagram(opened)
        if any(self._matches(message) for message in messages(datagram)):
            self.seen += 1
            if self.seen == self.after:
                self._step()
        return datagram


def is_end(message: Message) -> bool:
    return message.kind == NLMSG_DONE


def is_ipv4_route(message: Message) -> bool:
    return (message.kind, message.body[0]) == (24, AF_INET)


def is_ipv6_route(message: Message) -> bool:
    return (message.kind, message.body[0]) == (24, AF_INET6)


def is_ipv4_address(message: Message) -> bool:
    return (message.kind, message.body[0]) == (20, AF_INET)


def is_ipv6_address(message: Message) -> bool:
    return (message.kind, message.body[0]) == (20, AF_INET6)


def fill(host: Namespace) -> None:
    """Tables that take several datagrams to dump; IPv4 routes are dumped in their order, the newest addresses last."""
    configure(
        host,
        *(f"address add 198.51.100.{1 + host_part}/32 dev eth0-peer" for host_part in range(250)),
        *(f"address add 2001:db8:d::{number:x}/128 dev eth0-peer nodad noprefixroute" for number in range(1, 1501)),
        *(f"route add 2001:db8:c::{number:x}/128 dev eth0-peer" for number in range(1, 1501)),
        *(
            f"route add 203.0.113.{host_part}/32 via 198.51.100.1 dev eth0 metric {metric}"
            for host_part in range(1, 251)
            for metric in range(4)
        ),
    )


def deleted_addresses() -> str:
    """Of the addresses of one interface, some that were dumped: the others move up, and the cursor does not."""
    return "\n".join(f"address delete 2001:db8:d::{number:x}/128 dev eth0-peer" for number in range(1, 1500, 10))


MIDDLE = {
    "route added before the cursor": (is_ipv4_route, "route add 203.0.113.0/32 via 198.51.100.1 dev eth0"),
    "route added behind it": (is_ipv4_route, "route add 203.0.113.254/32 via 198.51.100.1 dev eth0"),
    "route deleted that was dumped": (is_ipv4_route, "route delete 203.0.113.1/32 metric 0"),
    "route deleted that was not": (is_ipv4_route, "route delete 203.0.113.250/32 metric 3"),
    # IPv6 begins again when a route was added, and skips as many as it has told: one too many.
    "IPv6 route deleted that was dumped, another added": (
        is_ipv6_route,
        "route delete 2001:db8:c::14/128 dev eth0-peer\nroute add 2001:db8:f::7/128 dev eth0",
    ),
    "address added before the cursor": (is_ipv4_address, "address add 127.0.0.2/8 dev lo"),
    "addresses deleted that were dumped": (is_ipv6_address, deleted_addresses()),
    "link deleted that was dumped": (is_ipv4_address, "link delete eth0"),
}


@pytest.mark.parametrize("name", MIDDLE)
async def test_in_the_middle_of_the_first_dump(host: Namespace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    matches, line = MIDDLE[name]
    fill(host)
    interruption = Interruption(monkeypatch, matches, partial(configure, host, line))
    async with following(NetlinkSource()) as mirror:
        assert interruption.seen > 0
        if "link" not in line:  # the source does not know yet which routes the link took along; it asks once more
            assert mirror.state() == truth(host)
        await wait_for_truth(mirror, host)


@pytest.mark.parametrize("name", MIDDLE)
async def test_in_the_middle_of_a_later_dump(host: Namespace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an event told is not taken back by the dump that it fell into, not even for a moment."""
    matches, line = MIDDLE[name]
    fill(host)
    source = NetlinkSource()
    async with following(source) as mirror:
        sizes = [len(mirror.routes) + len(mirror.addresses)]
        mirror.after_report = lambda: sizes.append(len(mirror.routes) + len(mirror.addresses))
        interruption = Interruption(monkeypatch, matches, partial(configure, host, line))
        source._mark_stale(Tables.ALL)  # as an overrun does
        await until(lambda: interruption.seen > 0)
        await wait_for_truth(mirror, host)
        assert sizes in (sorted(sizes), sorted(sizes, reverse=True)), "it went there and back"


async def test_what_happens_before_a_dump_is_told_is_told_with_it(
    host: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last datagram has been read, the events not yet; there are more of them than are read at a time."""
    lines = [
        f"route add 203.0.113.{host_part}/32 dev eth0 metric {metric}"
        for metric in range(3)
        for host_part in range(250)
    ]
    interruption = Interruption(monkeypatch, is_end, partial(configure, host, *lines), after=4)
    async with following(NetlinkSource()) as mirror:
        assert interruption.seen == 4, "links, addresses, IPv4 routes, IPv6 routes"
        assert len(mirror.reports) == 1
        assert mirror.state() == truth(host)


async def test_an_overrun_in_the_middle_of_the_first_dump(host: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the events that were lost told is not missing from the first report: the dump starts again."""
    fill(host)
    lines = [f"address add 127.0.{number // 250}.{number % 250 + 2}/8 dev lo" for number in range(500)]
    Interruption(monkeypatch, is_ipv4_address, partial(configure, host, *lines))
    source = NetlinkSource(receive_buffer=2304)
    async with following(source) as mirror:
        assert source.statistics().overruns > 0
        assert mirror.state() == truth(host)


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


async def test_what_waited_before_an_overrun_is_older_than_the_dump_after_it(host: Namespace) -> None:
    """Of a route that came and went, only the coming was still in the buffer; it must not come back for ever."""
    source = NetlinkSource(receive_buffer=1_000_000)
    lines = [f"route add 203.0.113.{number % 250}/32 dev eth0 metric {number}" for number in range(4000)]
    lines.insert(2000, "route add 203.0.113.255/32 dev eth0")
    lines.append("route delete 203.0.113.255/32 dev eth0")
    async with following(source) as mirror:
        assert await is_at_rest(mirror)  # not in the pause after a dump, so that it dumps at once
        configure(host, *lines)
        await wait_for_truth(mirror, host)
        assert source.statistics().overruns > 0


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
    lost: set[RouteFact] = set()
    toggled = IPv6Network("2001:db8:b::1/128")
    toggle = [f"route add {toggled} dev eth0", f"route delete {toggled} dev eth0"] * 500
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            calm = trio.Event()
            nursery.start_soon(storm_until, calm, host, toggle)
            async with following(source) as mirror:
                await until(lambda: len(mirror.routes) > 1000)
                untouched = {route for route in mirror.routes if route.destination != toggled}
                mirror.after_report = lambda: lost.update(untouched - mirror.routes.keys())
                dumps = source.statistics().resynchronisations
                facts = source.statistics().facts
                await until(lambda: source.statistics().resynchronisations > dumps)
                assert source.statistics().facts - facts > 1000
                calm.set()
                await wait_for_truth(mirror, host)
    assert not lost, "a dump that may have missed them must not withdraw them"


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
