"""`open_tcp_stream` across all domains of a real host: who wins, what becomes of the losers, and what an error says."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import pytest
import trio
import trio.testing

import trimif
from trimif import ConnectFailed, ElementType, Information, NotConnectedReason, StaticConfiguration
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import SECONDS, data_of, read_greeting, seen, watch

pytestmark = pytest.mark.lab

WEB, WEB6 = "203.0.113.80", "2001:db8:ff::80"
UP_A, UP_A6, UP_B = "198.51.100.10", "2001:db8:a::ff:fe00:a02", "198.51.100.70"
VPN = StaticConfiguration("vpn0", ("198.51.100.129", "fd6d:6966:1::1"), ("corp.example",))


async def test_a_name_is_resolved_everywhere_and_the_first_connection_wins(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[VPN]) as mif:
        await until_servers_known(mif)
        with watch(lab) as wires:
            greeting = await read_greeting(await dial(mif, "www.example.com", 80))
            assert (greeting.network, greeting.asked) in {("inet", WEB), ("inet", WEB6)}
            assert wires.queries("www.example.com") == {
                "isp_a": {(UP_A, "198.51.100.1"), (UP_A6, "2001:db8:a::1")},
                "isp_b": {(UP_B, "198.51.100.65")},
                "vpn": {("198.51.100.130", "198.51.100.129"), ("fd6d:6966:1::2", "fd6d:6966:1::1")},
            }
            sources = [source for seen in wires.syns(port=80).values() for source in seen]
            assert greeting.peer in sources


async def dial(mif: trimif.Mif, host: str, port: int, **options: Any) -> trio.SocketStream:
    """As any program does it that has other things to do."""
    with trio.fail_after(SECONDS):
        return await mif.open_tcp_stream(host, port, **options)


async def until_servers_known(mif: trimif.Mif) -> None:
    """Provider A's advertisement has come, with its name servers."""
    await seen(lambda: Information.MTU in data_of(mif, "up-a/ipv6", ElementType.RA))


async def test_names_of_one_network_lead_into_it(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[VPN]) as mif:
        await until_servers_known(mif)
        for host, network, by in (
            ("intranet.corp.example", "vpn", "vpn"),
            ("only-b.example.com", "inet", "isp_b"),
            ("only-a.example.com", "inet", "isp_a"),
        ):
            with watch(lab) as wires:
                greeting = await read_greeting(await dial(mif, host, 80))
                assert greeting.network == network
                assert wires.syns(port=80).keys() == {by}


async def test_a_dead_network_costs_one_delay(lab: Lab, on_host: Namespace) -> None:
    """The SYN into the dead one is sent, and 250 ms later the other wins; the loser is closed."""
    lab.start_dhclient("up-b")
    lab.block("isp_a", "tcp dport 80")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif:
        await until_servers_known(mif)
        with watch(lab) as wires:
            before = time.monotonic()
            greeting = await read_greeting(await dial(mif, "www.example.com", 80))
            assert greeting.peer == UP_B
            assert time.monotonic() - before < 0.9  # 250 ms; without a race, seconds
            assert wires.syns(port=80) == {"isp_a": [UP_A6], "isp_b": [UP_B]}
        assert open_connections(lab) == []


def open_connections(lab: Lab) -> list[str]:
    """Of the host, without those that wait for stray packets after their end."""
    listing = lab.host.run(["ss", "-Htn", "state", "connected"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if not line.startswith("TIME-WAIT")]


async def test_losers_that_got_through_are_closed(lab: Lab, on_host: Namespace) -> None:
    """No delay at all: every network is tried at once, and all answer. One stream comes out, and nothing is left."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[VPN]) as mif:
        await until_servers_known(mif)
        stream = await dial(mif, "www.example.com", 85, happy_eyeballs_delay=0)
        async with stream:
            await stream.send_all(b"hallo")
            assert await stream.receive_some() == b"hallo"
            await seen(lambda: len(open_connections(lab)) == 1)  # the losers' FINs are answered in their own time
            (left,) = open_connections(lab)
            assert left.startswith("ESTAB")
            assert mif.statistics().subscribers == 0


async def test_the_error_names_what_happened_on_each_domain(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    lab.block("isp_b", "tcp dport 82", action="reject with icmpx type host-unreachable")
    async with trimif.open_mif(lease_directories=[lab.lease_directory], static=[VPN]) as mif:
        await until_servers_known(mif)
        with pytest.raises(OSError, match=r"all attempts to connect to www\.example\.com:82 failed") as caught:
            await dial(mif, "www.example.com", 82)
    reports = str(caught.value)
    for said in ("up-a/ipv4: refused", "up-a/ipv6: refused", "up-b/ipv4: unreachable", "vpn0/ipv4: no such name"):
        assert said in reports
    assert failures_of(caught.value) == {
        (NotConnectedReason.REFUSED, errno.ECONNREFUSED),
        (NotConnectedReason.UNREACHABLE, errno.EHOSTUNREACH),
    }


def failures_of(error: OSError) -> set[tuple[NotConnectedReason, int | None]]:
    """The attempts' failures, which are the cause."""
    group = error.__cause__
    assert isinstance(group, ExceptionGroup)
    return {(each.reason, each.errno) for each in group.exceptions if isinstance(each, ConnectFailed)}


async def test_a_name_that_nobody_knows(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif:
        await until_servers_known(mif)
        with pytest.raises(OSError, match="up-a/ipv6: no such name"):
            await dial(mif, "nowhere.example.com", 80)


async def test_without_a_domain_it_fails_at_once(lab: Lab, on_host: Namespace) -> None:
    for uplink in ("up-a", "up-b", "vpn0"):
        lab.set_link(uplink, up=False)
    async with trimif.open_mif() as mif:
        for host in ("www.example.com", WEB):
            before = trio.current_time()
            with pytest.raises(OSError, match="no provisioning domain is usable"):
                await dial(mif, host, 80)
            assert trio.current_time() - before < 0.8
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mif.wait_domain)
            await trio.testing.wait_all_tasks_blocked()
            lab.set_link("up-a", up=True)
        assert (await read_greeting(await dial(mif, WEB6, 80))).peer == UP_A6


async def test_from_a_local_address(lab: Lab, on_host: Namespace) -> None:
    """Only through the domain that has it."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif:
        with watch(lab) as wires:
            stream = await dial(mif, "v4only.example.com", 80, local_address=UP_B)
            assert (await read_greeting(stream)).peer == UP_B
            assert wires.syns() == {"isp_b": [UP_B]}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", UP_A, UP_A6, "198.51.100.130"])
async def test_this_host_itself_works_as_with_trio(lab: Lab, on_host: Namespace, host: str) -> None:
    lab.start_dhclient("up-a")
    listener = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    port = listener.getsockname()[1]
    with listener:
        async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif:
            with watch(lab) as wires:
                async with await dial(mif, host, port) as ours:
                    peer = ours.socket.getpeername()[0]
                    assert host in (peer, "localhost")
                    if host != "localhost":
                        async with await trio.open_tcp_stream(host, port) as trios:
                            assert trios.socket.getpeername()[0] == peer
                assert wires.syns() == {}


async def test_a_domain_that_dies_in_the_race_is_reported(lab: Lab, on_host: Namespace) -> None:
    """Its connect ends with it, and the race goes on without it."""
    async with trimif.open_mif() as mif:
        await until_servers_known(mif)

        async def race() -> None:
            with pytest.raises(OSError, match="up-a/ipv6: domain gone") as caught:
                await dial(mif, WEB6, 84)
            assert failures_of(caught.value) == {
                (NotConnectedReason.DOMAIN_GONE, errno.ENETDOWN),
                (NotConnectedReason.NO_ROUTE, errno.ENETUNREACH),
            }

        with watch(lab) as wires:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(race)
                await seen(lambda: wires.syns(port=84))
                lab.delete_link("up-a")
