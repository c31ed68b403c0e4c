"""The simulated host: each verb as a program hears it, names that answer late, peers that really talk."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from typing import Any

import pytest
import trio
import trio.testing

from trimif import (
    ConnectFailed,
    InterfaceKind,
    Mif,
    NameTranslation,
    NameTranslationFinished,
    NotConnectedReason,
    TranslateName,
    TranslationOutcome,
)
from trimif.testing import FIGURE_2, LinkGone, Recorder, SimulatedHost, open_recorder, open_simulated_mif

Clock = trio.testing.MockClock


@asynccontextmanager
async def recording(host: SimulatedHost) -> AsyncIterator[tuple[Mif, Recorder]]:
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        yield mif, recorder


def interface_of(line: str) -> int:
    """What is told of different interfaces at the same time has no order that matters."""
    return next(place for place, name in enumerate(("lo", "eth0", "ppp0")) if f" {name}" in line)


async def test_what_is_set_up_before_is_there_when_the_mif_opens(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    assert host.add_link("lo") == 1
    assert host.add_link("eth0") == 2
    assert host.add_link("ppp0", kind=InterfaceKind.CELLULAR, mtu=1400, carrier=False) == 3
    host.add_lease("eth0", "198.51.100.7/24", seconds=60)
    host.advertise("eth0", "2001:db8:2::/64", dns_servers=["2001:db8:2::53"])
    async with recording(host) as (_, recorder):
        assert sorted(await recorder.lines(), key=interface_of) == [
            "0 Interface lo: loopback, up, MTU 65536",
            "0 PD lo/ipv4",
            "0 Element static of lo/ipv4 from kernel",
            "0 Address 127.0.0.1/8 of lo/ipv4, valid for ever",
            "0 PD lo/ipv6",
            "0 Element static of lo/ipv6 from kernel",
            "0 Address ::1/128 of lo/ipv6, valid for ever",
            "0 Interface eth0: ethernet, up, MTU 1500",
            "0 PD eth0/ipv4",
            "0 Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
            "0 Address 198.51.100.7/24 of eth0/ipv4, valid 1 min",
            "0 PD eth0/ipv6",
            "0 Element RA of eth0/ipv6 from fe80::1",
            "0 Address 2001:db8:2::10/64 of eth0/ipv6, valid for ever",
            "0 Interface ppp0: cellular, up, no carrier, MTU 1400",
        ]


async def test_a_lease_is_renewed_replaced_and_ends(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    host.add_link("eth0")
    async with recording(host) as (_, recorder):
        host.add_lease("eth0", "198.51.100.7/24", seconds=60, dns_servers=["203.0.113.53"], search_domains=["corp"])
        await trio.sleep(50)
        host.add_lease("eth0", "198.51.100.7/24", seconds=60)
        await trio.sleep(50)
        host.add_lease("eth0", "198.51.100.8/24", seconds=60)
        await trio.sleep(100)
        host.add_lease("eth0", "198.51.100.9/24")
        host.remove_lease("eth0")
        assert (await recorder.lines())[1:] == [
            "0 PD eth0/ipv4",
            "0 Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
            "0 Address 198.51.100.7/24 of eth0/ipv4, valid 1 min",
            "50 Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
            "100 No Address 198.51.100.7 of eth0/ipv4",
            "100 No Element DHCPv4 of eth0/ipv4",
            "100 No PD eth0/ipv4",
            "100 PD eth0/ipv4",
            "100 Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
            "100 Address 198.51.100.8/24 of eth0/ipv4, valid 1 min",
            "160 No Address 198.51.100.8 of eth0/ipv4",
            "160 No Element DHCPv4 of eth0/ipv4",
            "160 No PD eth0/ipv4",
            "200 PD eth0/ipv4",
            "200 No PD eth0/ipv4",
        ]


async def test_routers_come_and_say_goodbye(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    host.add_link("eth0")
    async with recording(host) as (mif, recorder):
        host.advertise("eth0", "2001:db8:2::/64", address="2001:db8:2::7", seconds=30, mtu=1400)
        assert information(mif, "eth0/ipv6") >= {"MTU": 1400, "ROUTERS": (IPv6Address("fe80::1"),)}.items()
        host.stop_advertising("eth0")
        assert "ROUTERS" not in dict(information(mif, "eth0/ipv6"))
        await trio.sleep(100)
        assert (await recorder.lines())[1:] == [
            "0 PD eth0/ipv6",
            "0 Element RA of eth0/ipv6 from fe80::1",
            "0 Address 2001:db8:2::7/64 of eth0/ipv6, valid 30 s",
            "30 No Address 2001:db8:2::7 of eth0/ipv6",
            "30 No Element RA of eth0/ipv6",
            "30 No PD eth0/ipv6",
        ]


async def test_addresses_by_hand(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    host.add_link("tun0")
    async with recording(host) as (_, recorder):
        host.add_address("tun0", "198.51.100.7/24", seconds=60, preferred_seconds=30)
        await trio.sleep(10)
        host.remove_address("tun0", "198.51.100.7")
        assert (await recorder.lines())[1:] == [
            "2 PD tun0/ipv4",
            "2 Element static of tun0/ipv4 from kernel",
            "2 Address 198.51.100.7/24 of tun0/ipv4, valid 58 s",
            "10 No Address 198.51.100.7 of tun0/ipv4",
            "10 No Element static of tun0/ipv4",
            "10 No PD tun0/ipv4",
        ]


async def test_links_flap_go_and_come_again_as_others(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    host.add_link("eth0")
    host.add_lease("eth0", "198.51.100.7/24")
    host.advertise("eth0", "2001:db8:2::/64")
    async with recording(host) as (_, recorder):
        before = recorder.interfaces()["eth0"]
        await recorder.lines()
        host.set_carrier("eth0", False)
        await trio.sleep(4)
        host.set_carrier("eth0", True)
        assert len(await recorder.lines()) == 2, "only the interface is told: five seconds have not passed"
        host.set_up("eth0", False)
        assert (await recorder.lines())[-1] == "4 Interface eth0: ethernet, down, MTU 1500"
        assert recorder.domains() == {}
        host.set_up("eth0", True)
        await recorder.lines()
        assert set(recorder.domains()) == {"eth0/ipv4"}, "no router has spoken yet"
        assert recorder.interfaces()["eth0"] == before
        host.remove_link("eth0")
        assert (await recorder.lines())[-1] == "4 No Interface eth0"
        assert host.add_link("eth0") == 3
        await recorder.lines()
        assert recorder.interfaces()["eth0"] != before
        assert recorder.domains() == {}


async def test_a_rename_takes_leases_names_and_peers_along(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    host.add_link("eth0")
    host.add_lease("eth0", "198.51.100.7/24")
    host.add_name("eth0/ipv4", "www.example.org", "203.0.113.1")
    peer = host.add_peer("eth0/ipv4", "203.0.113.1")
    async with recording(host) as (mif, recorder):
        domain = recorder.domains()["eth0/ipv4"]
        host.rename("eth0", "wan0")
        await trio.sleep(10)
        await recorder.lines()
        assert recorder.domains() == {"wan0/ipv4": domain}
        async with await mif.open_tcp_stream("www.example.org", 80), await peer.accept():
            assert [name for _, name, _ in host.dialled] == ["wan0/ipv4"]


async def test_facts_say_what_verbs_can_not(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with recording(host) as (_, recorder):
        assert set(recorder.domains()) == {"eth0/ipv4", "eth0/ipv6", "wa0/ipv6"}
        host.report(LinkGone(3), LinkGone(2))
        await trio.sleep(10)
        await recorder.lines()
        assert set(recorder.interfaces()) == {"lo"}


async def test_several_mifs_see_one_host_also_when_they_open_late(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    async with recording(host) as (_, first):
        host.add_link("usb0")
        host.add_lease("usb0", "198.51.100.7/24", seconds=60)
        host.remove_link("wa0")
        async with recording(host) as (_, second):
            await first.lines()
            assert second.interfaces().keys() == first.interfaces().keys() == {"lo", "eth0", "usb0"}
            assert second.domains().keys() >= first.domains().keys()
            assert set(second.interfaces().values()).isdisjoint(first.interfaces().values())
            await trio.sleep(100)
            await second.lines()
            assert second.domains().keys() == first.domains().keys() == REST


REST = {"lo/ipv4", "lo/ipv6", "eth0/ipv4", "eth0/ipv6"}


# ---------------------------------------------------------------- names


async def translate(recorder: Recorder, domain: str, name: str) -> tuple[list[tuple[float, str]], float, object]:
    """The addresses with their times, the time of the outcome, and that."""
    began, mif_domain = trio.current_time(), recorder.domains()[domain]
    recorder.post(TranslateName(mif_domain, name, name))
    await recorder.when(lambda: isinstance(recorder.history[-1].message, NameTranslationFinished))
    lines = [line for line in recorder.history if getattr(line.message, "translation_id", None) == name]
    told = [(line.time - began, str(m.address)) for line in lines if isinstance(m := line.message, NameTranslation)]
    finished = lines[-1].message
    assert isinstance(finished, NameTranslationFinished)
    return told, lines[-1].time - began, finished.outcome


async def test_names_are_answered_late_or_not_at_all(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.add_name("eth0/ipv4", "www.example.org", "203.0.113.1", "2001:db8::1", after=0.5)
    host.add_name("eth0/ipv4", "Gone.example.", after=0.25)
    host.add_name("eth0/ipv4", "refused.example", outcome=TranslationOutcome.REFUSED)
    async with recording(host) as (_, recorder):
        for domain, name, expected in ANSWERS:
            assert await translate(recorder, domain, name) == expected
            await trio.sleep(5)  # the domains of lo are settled then


ANSWERS: list[tuple[str, str, tuple[list[tuple[float, str]], float, object]]] = [
    ("eth0/ipv4", "WWW.example.org.", ([(0.5, "203.0.113.1"), (0.5, "2001:db8::1")], 0.5, TranslationOutcome.ANSWERED)),
    ("eth0/ipv4", "gone.example", ([], 0.25, TranslationOutcome.NO_SUCH_NAME)),
    ("eth0/ipv4", "refused.example", ([], 0, TranslationOutcome.REFUSED)),
    ("eth0/ipv6", "www.example.org", ([], 4, TranslationOutcome.TIMED_OUT)),
    ("lo/ipv4", "www.example.org", ([], 0, TranslationOutcome.NO_SERVERS)),
]


# ---------------------------------------------------------------- peers


async def test_client_and_server_talk_and_the_server_is_an_ordinary_listener(autojump_clock: Clock) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        async for octets in stream:
            await stream.send_all(octets.upper())

    host = SimulatedHost(initial=FIGURE_2)
    peer = host.add_peer("eth0/ipv4", "203.0.113.1", after=0.1)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [peer])
        for _ in range(3):
            async with await mif.open_tcp_stream("203.0.113.1", 80) as client:
                await client.send_all(b"hello")
                assert await client.receive_some() == b"HELLO"
        nursery.cancel_scope.cancel()


async def test_peers_refuse_or_stay_silent(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.add_peer("eth0/ipv4", "203.0.113.1", after=2, reason=NotConnectedReason.REFUSED)
    host.add_peer("eth0/ipv4", "203.0.113.2", after=math.inf)
    closed = host.add_peer("eth0/ipv4", "203.0.113.3")
    await closed.aclose()
    async with open_simulated_mif(host) as mif:
        began = trio.current_time()
        for address in ("203.0.113.1", "203.0.113.3"):
            with pytest.raises(OSError, match="refused") as caught:
                await mif.open_tcp_stream(address, 80, local_address="198.51.2.10")
            assert isinstance(caught.value.__cause__, ConnectFailed | BaseExceptionGroup)
        assert trio.current_time() - began == 2
        with trio.move_on_after(1000) as limit:
            await mif.open_tcp_stream("203.0.113.2", 80, local_address="198.51.2.10")
        assert limit.cancelled_caught
        began = trio.current_time()
        with pytest.raises(OSError, match="timed out"):
            await mif.open_tcp_stream("203.0.113.9", 80, local_address="198.51.2.10")
        assert trio.current_time() - began == 127, "nobody is there"


async def test_accept_waits_is_cancelled_without_loss_and_ends_with_the_peer(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    peer = host.add_peer("eth0/ipv4", "203.0.113.1")
    async with open_simulated_mif(host) as mif:
        with trio.move_on_after(1):
            await peer.accept()
        client = await mif.open_tcp_stream("203.0.113.1", 80)
        with trio.CancelScope() as scope:
            scope.cancel()
            await peer.accept()
        await (await peer.accept()).aclose()
        await client.aclose()
        async with trio.open_nursery() as nursery:

            async def accept() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await peer.accept()

            nursery.start_soon(accept)
            await trio.testing.wait_all_tasks_blocked()
            await peer.aclose()


async def test_what_no_peer_accepted_is_closed_with_the_mif(autojump_clock: Clock) -> None:
    host = SimulatedHost(initial=FIGURE_2)
    host.add_peer("eth0/ipv4", "203.0.113.1")
    async with open_simulated_mif(host) as mif:
        client = await mif.open_tcp_stream("203.0.113.1", 80)
    assert await client.receive_some() == b""
    assert host.open_streams() == [client]
    await client.aclose()
    assert host.open_streams() == []


# ---------------------------------------------------------------- misuse


def test_what_is_not_there_is_named() -> None:
    host = SimulatedHost()
    with pytest.raises(ValueError, match="has no interface 'eth0'; it has none"):
        host.set_carrier("eth0", False)
    host.add_link("eth0")
    with pytest.raises(ValueError, match="has an interface 'eth0' already"):
        host.add_link("eth0")
    with pytest.raises(ValueError, match="has no interface 'eth1'; it has eth0"):
        host.remove_link("eth1")
    with pytest.raises(ValueError, match=r"'eth0' of the simulated host has no address '198\.51\.100\.7'"):
        host.remove_address("eth0", "198.51.100.7")
    with pytest.raises(ValueError, match="'eth0' of the simulated host has no lease"):
        host.remove_lease("eth0")
    with pytest.raises(ValueError, match="www"):
        host.add_name("eth0/ipv4", "www.example.org", "www")
    with pytest.raises(ValueError, match="www"):
        host.add_peer("eth0/ipv4", "www")
    with pytest.raises(RuntimeError):
        host.add_lease("eth0", "198.51.100.7/24", seconds=60)


def information(mif: Mif, name: str) -> set[tuple[str, Any]]:
    """What the only element of a domain says."""
    domains = [domain for interface in mif.snapshot().interfaces for domain in interface.domains]
    (found,) = (domain for domain in domains if domain.announcement.name == name)
    return {(each.name, value) for each, value in found.elements[0].data.items()}
