"""The race across domains: the pure race by itself, then `open_tcp_stream` on the simulated host and the mock clock."""

from __future__ import annotations

import errno
import math
from ipaddress import ip_address

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from trimif import ConnectFailed, DomainId, NotConnectedReason
from trimif._connect._race import Candidate, Race
from trimif._facts import LinkGone
from trimif.testing import FIGURE_2, Peer, SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import LOOPBACK, address, ipv4, link

Clock = trio.testing.MockClock
V4, V6 = "203.0.113.1", "2001:db8:ff::1"
EVERYWHERE = {
    ("eth0/ipv6", "www.example.org"): [(0.0, V6)],
    ("eth0/ipv4", "www.example.org"): [(0.001, V4)],
    ("wa0/ipv6", "www.example.org"): [(0.002, V6)],
}


def candidate(domain: str, text: str) -> Candidate:
    return Candidate(DomainId(domain), ip_address(text))


# ---------------------------------------------------------------- the race


def test_domains_and_families_take_turns() -> None:
    race = Race(0.25)
    for each in [("a4", V4), ("a4", "203.0.113.2"), ("a6", V6), ("b6", V6)]:
        race.add(candidate(*each), 0)
    race.complete(0)
    started = []
    for step in range(4):
        found = race.start(step * 0.25)
        assert found is not None
        assert race.start(step * 0.25) is None, "one at a time"
        started.append(found.domain.token)
    assert started == ["a6", "a4", "b6", "a4"]
    assert race.wake_at == math.inf


def test_a_failure_starts_the_next_at_once() -> None:
    race = Race(0.25)
    race.add(candidate("a", V6), 0)
    race.add(candidate("b", V6), 0)
    race.complete(0)
    first = race.start(0)
    assert first is not None
    assert race.wake_at == 0.25
    race.failed(first, 0.1)
    second = race.start(0.1)
    assert second is not None
    assert not race.lost
    race.failed(second, 0.2)
    assert race.lost


def test_the_first_ipv4_address_waits_fifty_milliseconds_for_an_ipv6_one() -> None:
    race = Race(0.25)
    race.add(candidate("a", V4), 0)
    assert race.start(0.04) is None
    race.add(candidate("b", V6), 0.04)
    found = race.start(0.04)
    assert found is not None
    assert found.domain.token == "b"
    alone = Race(0.25)
    alone.add(candidate("a", V4), 0)
    assert alone.wake_at == 0.05
    assert alone.start(0.05) is not None
    hurried = Race(0.25)
    hurried.add(candidate("a", V4), 0)
    hurried.complete(0.01)
    assert hurried.start(0.01) is not None, "nothing to wait for any more"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([V4, V6, "203.0.113.2"]), st.floats(0, 3))),
    st.floats(0, 5),
)
def test_every_candidate_is_tried_once_and_the_race_ends(found: list[tuple[str, str, float]], delay: float) -> None:
    race, tried = Race(delay), []
    now = 0.0
    for domain, text, later in found:
        race.add(candidate(domain, text), now := now + later)
        while (each := race.start(now)) is not None:
            tried.append(each)
    race.complete(now)
    while not race.lost:
        now = max(now, race.wake_at) if race.wake_at < math.inf else now
        while (each := race.start(now)) is not None:
            tried.append(each)
        for each in tried:
            if each in race._running:
                race.failed(each, now)
    assert len(tried) == len(set(tried)) == len({(domain, text) for domain, text, _ in found})


# ---------------------------------------------------------------- open_tcp_stream


async def test_the_first_domain_that_connects_wins_and_the_losers_are_closed(autojump_clock: Clock) -> None:
    peers = {("eth0/ipv6", V6): Peer(9.0), ("eth0/ipv4", V4): Peer(1.0), ("wa0/ipv6", V6): Peer(0.3)}
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE, peers=peers)
    async with open_simulated_mif(host) as mif:
        began = trio.current_time()
        stream = await mif.open_tcp_stream("www.example.org", 80)
        assert trio.current_time() - began == pytest.approx(0.5 + 0.3)
        assert [(at - began, domain) for at, domain, _ in host.dialled] == [
            (0.0, "eth0/ipv6"),
            (0.25, "eth0/ipv4"),
            (0.5, "wa0/ipv6"),
        ]
        await trio.testing.wait_all_tasks_blocked()
        assert len([each for each in host.unwound if each.startswith("connect")]) == 3, "nobody is still trying"
        assert host.open_streams() == [stream]
        await stream.aclose()
        assert mif.statistics().subscribers == 0


async def test_a_dead_network_costs_one_delay(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE, peers={("eth0/ipv4", V4): Peer()})
    async with open_simulated_mif(host) as mif:
        began = trio.current_time()
        async with await mif.open_tcp_stream("www.example.org", 80):
            assert trio.current_time() - began == pytest.approx(0.25)


async def test_the_delay_can_be_chosen(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE, peers={("eth0/ipv4", V4): Peer()})
    async with open_simulated_mif(host) as mif:
        began = trio.current_time()
        async with await mif.open_tcp_stream("www.example.org", 80, happy_eyeballs_delay=1.5):
            assert trio.current_time() - began == pytest.approx(1.5)


async def test_a_slow_answer_of_one_domain_delays_no_other(autojump_clock: Clock) -> None:
    names = {**EVERYWHERE, ("eth0/ipv6", "www.example.org"): [(5.0, V6)], ("wa0/ipv6", "www.example.org"): [(7.0, V6)]}
    host = SimulatedHost(initial=FIGURE_2, names=names, peers={("eth0/ipv4", V4): Peer()})
    async with open_simulated_mif(host) as mif:
        began = trio.current_time()
        async with await mif.open_tcp_stream("www.example.org", 80):
            assert trio.current_time() - began == pytest.approx(0.051)


async def test_if_all_fail_the_error_says_what_happened_on_each_domain(autojump_clock: Clock) -> None:
    names = {**EVERYWHERE, ("wa0/ipv6", "www.example.org"): []}
    refused = Peer(0.0, NotConnectedReason.REFUSED)
    peers = {("eth0/ipv4", V4): refused, ("eth0/ipv6", V6): refused}
    host = SimulatedHost(initial=FIGURE_2, names={**names, ("lo/ipv4", "www.example.org"): []}, peers=peers)
    host.names["lo/ipv6", "www.example.org"] = []
    async with open_simulated_mif(host) as mif:
        with pytest.raises(OSError, match=r"www\.example\.org:80") as caught:
            await mif.open_tcp_stream("www.example.org", 80)
    text = str(caught.value)
    assert "eth0/ipv4: refused" in text
    assert "eth0/ipv6: refused" in text
    assert "wa0/ipv6: no such name" in text
    assert "lo/" not in text
    cause = caught.value.__cause__
    assert isinstance(cause, ExceptionGroup)
    assert all(isinstance(each, ConnectFailed) and each.errno == errno.ECONNREFUSED for each in cause.exceptions)


async def test_without_a_usable_domain_it_fails_at_once(mock_clock: Clock) -> None:
    host = SimulatedHost(initial=LOOPBACK)
    host.names = {("lo/ipv4", "www.example.org"): [], ("lo/ipv6", "www.example.org"): []}
    async with open_simulated_mif(host) as mif:
        with pytest.raises(OSError, match="no provisioning domain is usable"):
            await mif.open_tcp_stream("www.example.org", 80)
        with pytest.raises(OSError, match="no provisioning domain is usable"):
            await mif.open_tcp_stream("203.0.113.1", 80)


async def test_addresses_go_through_every_domain_of_their_family(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, peers={("wa0/ipv6", V6): Peer()})
    async with open_simulated_mif(host) as mif:
        async with await mif.open_tcp_stream(V6, 80):
            assert {domain for _, domain, _ in host.dialled} == {"eth0/ipv6", "wa0/ipv6"}


async def test_loopback_and_own_addresses_go_through_the_domain_that_owns_them(autojump_clock: Clock) -> None:
    own = "198.51.2.10"
    names = {("eth0/ipv6", "me.example"): [(0.0, own)], ("wa0/ipv6", "me.example"): [(0.0, "127.0.0.1")]}
    peers = {("lo/ipv4", "127.0.0.1"): Peer(), ("eth0/ipv4", own): Peer()}
    host = SimulatedHost(initial=FIGURE_2, names=names, peers=peers)
    async with open_simulated_mif(host) as mif:
        await trio.sleep(3)  # until the loopback addresses count as static
        for target in ("127.0.0.1", own, "me.example"):
            await (await mif.open_tcp_stream(target, 80)).aclose()
    assert {(domain, where) for _, domain, where in host.dialled} <= set(peers)


async def test_a_local_address_chooses_the_domain(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, peers={("wa0/ipv6", V6): Peer()})
    async with open_simulated_mif(host) as mif:
        async with await mif.open_tcp_stream(V6, 80, local_address="2001:db8:3::10"):
            assert [domain for _, domain, _ in host.dialled] == ["wa0/ipv6"]
        with pytest.raises(OSError, match=r"no domain has the local address 203\.0\.113\.77"):
            await mif.open_tcp_stream(V4, 80, local_address="203.0.113.77")


async def test_a_scope_chooses_the_interface(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, peers={("wa0/ipv6", "fe80::9"): Peer()})
    async with open_simulated_mif(host) as mif:
        async with await mif.open_tcp_stream("fe80::9%wa0", 80):
            assert [domain for _, domain, _ in host.dialled] == ["wa0/ipv6"]


async def test_a_domain_that_goes_in_the_middle_is_one_failure_of_many(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE, peers={("wa0/ipv6", V6): Peer(2.0)})
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def connect() -> None:
            await (await mif.open_tcp_stream("www.example.org", 80)).aclose()

        nursery.start_soon(connect)
        await trio.sleep(1)
        host.report(LinkGone(2))
    assert [domain for _, domain, _ in host.dialled] == ["eth0/ipv6", "eth0/ipv4", "wa0/ipv6"]


async def test_a_domain_may_go_before_its_turn(autojump_clock: Clock) -> None:
    slow = {("eth0/ipv6", V6): Peer(2.0, NotConnectedReason.REFUSED), ("eth0/ipv4", V4): Peer(3.0)}
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE, peers=slow)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def connect() -> None:
            await (await mif.open_tcp_stream("www.example.org", 80, happy_eyeballs_delay=1.0)).aclose()

        nursery.start_soon(connect)
        await trio.sleep(1.5)
        host.report(LinkGone(3))
    assert [domain for _, domain, _ in host.dialled] == ["eth0/ipv6", "eth0/ipv4"]


async def test_all_domains_may_go_in_the_middle(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        async def connect() -> None:
            with pytest.raises(OSError, match="domain gone"):
                await mif.open_tcp_stream("www.example.org", 80)

        nursery.start_soon(connect)
        await trio.sleep(1)
        host.report(LinkGone(3))
        host.report(LinkGone(2))
        host.report(LinkGone(1))


async def test_cancelled_it_leaves_nothing(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2, names=EVERYWHERE)
    async with open_simulated_mif(host) as mif:
        with trio.move_on_after(10):
            await mif.open_tcp_stream("www.example.org", 80)
        await trio.testing.wait_all_tasks_blocked()
        assert len([each for each in host.unwound if each.startswith("connect")]) == 3
        assert mif.statistics().subscribers == 0


async def test_bad_hosts_and_ports_are_named(mock_clock: Clock) -> None:
    async with open_simulated_mif(SimulatedHost(initial=FIGURE_2)) as mif:
        for host in ("", "a b", "x..y", "a" * 300, "-\0-"):
            with pytest.raises(ValueError, match="is not the name of a network node"):
                await mif.open_tcp_stream(host, 80)
        for port in (0, 65536, -1, None, "http"):
            with pytest.raises(ValueError, match="is not a TCP port"):
                await mif.open_tcp_stream("www.example.org", port)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'here' is not an IPv4 or IPv6 address"):
            await mif.open_tcp_stream("www.example.org", 80, local_address="here")


async def test_wait_domain_waits_until_one_can_reach_something(mock_clock: Clock) -> None:
    host = SimulatedHost(initial=LOOPBACK)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        nursery.start_soon(mif.wait_domain)
        await trio.testing.wait_all_tasks_blocked()
        host.report(link(2, "eth0"), address(2, "198.51.2.10"))
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        host.report(*ipv4(2, "eth0"))
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_wait_domain_ends_with_the_mif(mock_clock: Clock) -> None:
    async with trio.open_nursery() as nursery:
        async with open_simulated_mif(SimulatedHost(initial=LOOPBACK)) as mif:

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError, match="the MIF is closed"):
                    await mif.wait_domain()

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
