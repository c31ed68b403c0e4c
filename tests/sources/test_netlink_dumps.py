"""Dumps while the tables change, overruns and storms: nothing is lost, nothing comes back, nothing waits."""

from __future__ import annotations

import os
import socket
from functools import partial

import pytest
import trio
import trio.testing

from trimif._sources import _netlink_dump
from trimif._sources._netlink_socket import receive_datagram
from trimif._sources.netlink import NetlinkSource
from trimif._wire.netlink import NLMSG_DONE, messages
from trimif._wire.netlink_facts import Tables
from trimif.testing._namespaces import Namespace

from .netlink_host import configure, following, run_beside, start_batch, truth, until, wait_for_truth

pytestmark = pytest.mark.lab


# ---------------------------------------------------------------- in the middle of a dump


class Interruption:
    """Runs a step right after a datagram of a dump was received that has a message of this kind, and only once.

    Args:
        after: the number of that datagram among those with a message of this kind.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: int, step: partial[None], after: int = 1) -> None:
        self.seen = 0
        self.after = after
        self._kind = kind
        self._step = step
        monkeypatch.setattr(_netlink_dump, "receive_datagram", self.receive_datagram)

    async def receive_datagram(self, opened: socket.socket) -> bytes:
        datagram = await receive_datagram(opened)
        if any(message.kind == self._kind for message in messages(datagram)):
            self.seen += 1
            if self.seen == self.after:
                self._step()
        return datagram


NEWADDR, NEWROUTE = 20, 24


def fill(host: Namespace) -> None:
    """Tables that take several datagrams to dump; IPv4 routes are dumped in their order, the newest addresses last."""
    configure(
        host,
        *(f"address add 198.51.100.{1 + host_part}/32 dev eth0-peer" for host_part in range(250)),
        *(f"address add 2001:db8:c::{1 + host_part:x}/128 dev eth0-peer nodad" for host_part in range(1500)),
        *(
            f"route add 203.0.113.{host_part}/32 via 198.51.100.1 dev eth0 metric {metric}"
            for host_part in range(1, 251)
            for metric in range(4)
        ),
    )


MIDDLE = [
    pytest.param(NEWROUTE, "route add 203.0.113.255/32 via 198.51.100.1 dev eth0", id="route added before the cursor"),
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
        assert interruption.seen >= 1
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
        await until(lambda: interruption.seen > 0)
        await wait_for_truth(mirror, host)
        if "link" not in line:
            assert len(seen - {before}) == 1, "the numbers went from before to after, and to nothing else"


@pytest.mark.parametrize("line", ["route add 203.0.113.255/32 dev eth0", "address add 203.0.113.255/32 dev eth0"])
async def test_what_happens_before_the_dump_is_told_is_told_with_it(
    host: Namespace, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last datagram has been read, the event not yet: it is read first."""
    interruption = Interruption(monkeypatch, NLMSG_DONE, partial(configure, host, line), after=4)
    async with following(NetlinkSource()) as mirror:
        assert interruption.seen == 4, "links, addresses, IPv4 routes, IPv6 routes"
        assert len(mirror.reports) == 1
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
