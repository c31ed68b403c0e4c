"""Routers solicited on a real link: how often, by which interface, and when that ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import trio
import trio.testing

from trimif._facts import AdvertisedDomain, RouterAdvertisement, RouterHeader
from trimif._information import PvdOption
from trimif._wire.neighbour_discovery import encode_router_advertisement

from .router_link import HOST, ROUTER, Link, ip, linked, running

pytestmark = pytest.mark.lab

OCTETS = encode_router_advertisement(RouterAdvertisement(0, ROUTER, RouterHeader(until=1800)))


@pytest.fixture
def link() -> Iterator[Link]:
    with linked() as made:
        yield made


@pytest.fixture
def clock(mock_clock: trio.testing.MockClock) -> trio.testing.MockClock:
    """Time that runs as it does, so that limits hold, and can be made to jump."""
    mock_clock.rate = 1
    return mock_clock


async def assert_no_solicitation(link: Link) -> None:
    """None is on the way: a veth pair delivers while the sender still is in the system call."""
    await trio.testing.wait_all_tasks_blocked(0.01)
    with pytest.raises(BlockingIOError):
        link.socket.recvmsg(1500, 100)


async def test_routers_are_solicited_at_the_start_and_answer(link: Link) -> None:
    async with running(link.host) as host:
        assert await link.receive_solicitation() == (HOST, 255)
        link.send(OCTETS, to=str(HOST))
        assert (await host.next_advertisement()).router == ROUTER


async def test_for_three_hours_and_a_half_nobody_answers(link: Link, autojump_clock: trio.testing.MockClock) -> None:
    """RFC 4861, 6.3.7 for three, then RFC 7559: twice as long each time, until it is an hour."""
    start = trio.current_time()
    times = []
    async with running(link.host):
        while trio.current_time() < start + 12600:
            await trio.lowlevel.wait_readable(link.socket)
            link.socket.recvmsg(1500, 100)
            times.append(trio.current_time() - start)
    assert times[:3] == pytest.approx([0, 4, 8])
    intervals = [later - earlier for earlier, later in pairwise(times[2:])]
    assert intervals[-2:] == pytest.approx([3600, 3600], rel=0.101)
    assert intervals[0] == pytest.approx(8, rel=0.051)
    assert all(1.9 <= later / earlier <= 2.1 for earlier, later in pairwise(intervals[:8]))
    assert len(times) in (14, 15)


async def test_after_an_hour_one_answers(link: Link, autojump_clock: trio.testing.MockClock) -> None:
    async with running(link.host) as host:
        while trio.current_time() < 3600:
            await trio.lowlevel.wait_readable(link.socket)
            link.socket.recvmsg(1500, 100)
        link.send(OCTETS)
        await host.next_advertisement()
        with trio.move_on_after(36000) as day:
            await trio.lowlevel.wait_readable(link.socket)
        assert day.cancelled_caught


async def test_an_advertisement_ends_the_soliciting(link: Link, clock: trio.testing.MockClock) -> None:
    async with running(link.host) as host:
        await link.receive_solicitation()
        link.send(OCTETS)
        await host.next_advertisement()
        clock.jump(4)
        await assert_no_solicitation(link)


def with_domain(outside: float, inside: float | None) -> bytes:
    content = RouterAdvertisement(0, ROUTER, None if inside is None else RouterHeader(inside))
    domain = AdvertisedDomain(PvdOption("pvd.isp-a.example"), content)
    return encode_router_advertisement(RouterAdvertisement(0, ROUTER, RouterHeader(outside), domain=domain))


@pytest.mark.parametrize(
    "octets",
    [
        encode_router_advertisement(RouterAdvertisement(0, ROUTER, RouterHeader(0))),
        with_domain(0, None),
        with_domain(1800, 0),
    ],
    ids=["outside", "the only header", "inside a PvD option"],
)
async def test_an_advertisement_of_no_default_router_does_not(
    link: Link, clock: trio.testing.MockClock, octets: bytes
) -> None:
    async with running(link.host) as host:
        await link.receive_solicitation()
        link.send(octets)
        await host.next_advertisement()
        clock.jump(4)
        await link.receive_solicitation()


async def test_a_default_router_of_an_explicit_domain_ends_it_too(link: Link, clock: trio.testing.MockClock) -> None:
    async with running(link.host) as host:
        await link.receive_solicitation()
        link.send(with_domain(0, 1800))
        await host.next_advertisement()
        clock.jump(4)
        await assert_no_solicitation(link)


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
        link.send(OCTETS)
        assert (await host.next_advertisement()).router == ROUTER


async def test_of_twenty_interfaces_at_the_start_eight_are_solicited_at_once(
    link: Link, autojump_clock: trio.testing.MockClock
) -> None:
    """The others within a second, each at a moment of its own: their routers shall not all answer in one burst."""
    for number in range(19):
        add_interface(link, f"eth{number + 1}", f"isp{number + 1}")
    times = []
    async with running(link.host):
        with trio.move_on_at(trio.current_time() + 1):
            while True:
                await trio.lowlevel.wait_readable(link.socket)
                link.socket.recvmsg(1500, 100)
                times.append(trio.current_time())
    assert len(times) == 20
    assert times[7] == pytest.approx(times[0], abs=1e-3)
    assert len(set(times[8:])) == 12


def add_interface(link: Link, near: str, far: str) -> None:
    ip(link.host, f"link add {near} type veth peer name {far} netns {link.router.path}")
    ip(link.router, f"link set {far} up")
    ip(link.host, f"link set {near} up")
    ip(link.host, f"addr add fe80::3/64 dev {near} nodad")
    link.join(far)
