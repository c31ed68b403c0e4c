"""Connect through one domain on a real kernel: the right uplink and source, or a failure that says why."""

from __future__ import annotations

import errno
import socket
from collections.abc import Hashable
from ipaddress import ip_address

import pytest
import trio
import trio.testing

import trimif
from trimif import (
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    DomainId,
    NotConnected,
    NotConnectedReason,
)
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import Program, open_program, read_greeting, seen, watch

pytestmark = pytest.mark.lab

WEB, WEB6 = "203.0.113.80", "2001:db8:ff::80"
UP_A, UP_B = "198.51.100.10", "198.51.100.70"
UP_A6 = "2001:db8:a::ff:fe00:a02"


async def connect(
    program: Program, domain: DomainId, address: str, port: int = 80, *, source: str | None = None
) -> trio.SocketStream | NotConnected:
    """Post a connect; its answer."""
    key: Hashable = ("connect", len(program.history))
    if source is None:
        program.post(ConnectToAddress(domain, ip_address(address), port, key))
    else:
        program.post(ConnectToAddressFromAddress(domain, ip_address(source), ip_address(address), port, key))
    answer: Connected | NotConnected = await program.when(lambda: answer_to(key, program))
    return answer.stream if isinstance(answer, Connected) else answer


def answer_to(key: Hashable, program: Program) -> Connected | NotConnected | None:
    answers = (each for each in program.history if isinstance(each, Connected | NotConnected))
    return next((each for each in answers if each.connection_id == key), None)


async def connected(
    program: Program, domain: DomainId, address: str, port: int = 80, *, source: str | None = None
) -> trio.SocketStream:
    stream = await connect(program, domain, address, port, source=source)
    assert isinstance(stream, trio.SocketStream), stream
    return stream


async def refused(
    program: Program, domain: DomainId, address: str, port: int = 80, *, source: str | None = None
) -> NotConnected:
    failure = await connect(program, domain, address, port, source=source)
    assert isinstance(failure, NotConnected)
    return failure


@pytest.mark.lab(isp_b_ipv6=True)
async def test_each_domain_connects_by_its_own_uplink(lab: Lab, on_host: Namespace) -> None:
    """Also by provider B, whose default routes have the worse metric in IPv4 and the lower preference in IPv6."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        for name, address, network, source in (
            ("up-a/ipv4", WEB, "isp_a", UP_A),
            ("up-b/ipv4", WEB, "isp_b", UP_B),
            ("up-a/ipv6", WEB6, "isp_a", UP_A6),
            ("up-b/ipv6", WEB6, "isp_b", "2001:db8:b::ff:fe00:b02"),
        ):
            domain = await program.domain(name)
            with watch(lab) as wires:
                greeting = await read_greeting(await connected(program, domain, address))
                assert (greeting.network, greeting.asked, greeting.peer) == ("inet", address, source)
                assert wires.syns() == {network: [source]}


async def test_the_check_of_law_10_sees_an_unbound_socket(lab: Lab, on_host: Namespace) -> None:
    """What a program gets that takes the system's way instead: the SYN for B's network leaves by A."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    with watch(lab) as wires:
        await read_greeting(await trio.open_tcp_stream(WEB, 80))
        with pytest.raises(AssertionError):
            assert wires.syns() == {"isp_b": [UP_B]}
        assert wires.syns() == {"isp_a": [UP_A]}


async def test_from_a_given_address(lab: Lab, on_host: Namespace) -> None:
    lab.ip("host", "address add 198.51.100.60/26 dev up-a")
    lab.start_dhclient("up-a")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv4")
        assert program.addresses("up-a/ipv4") == {"198.51.100.60", UP_A}
        for source in ("198.51.100.60", UP_A):
            with watch(lab) as wires:
                greeting = await read_greeting(await connected(program, domain, WEB, source=source))
                assert greeting.peer == source
                assert wires.syns() == {"isp_a": [source]}


async def test_not_from_an_address_of_another_domain(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv4")
        with watch(lab) as wires:
            for source in (UP_B, UP_A6, "198.51.100.11"):
                failure = await refused(program, domain, WEB, source=source)
                assert (failure.reason, failure.errno) == (NotConnectedReason.NO_SOURCE, errno.EADDRNOTAVAIL)
            assert (await refused(program, domain, WEB6)).reason is NotConnectedReason.NO_SOURCE
            assert wires.syns() == {}


async def test_a_peer_that_refuses(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        failure = await refused(program, domain, WEB6, 82)
        assert (failure.reason, failure.errno) == (NotConnectedReason.REFUSED, errno.ECONNREFUSED)
        assert f"{WEB6} port 82 through up-a/ipv6 from {UP_A6}" in failure.text


async def test_a_peer_that_resets(lab: Lab, on_host: Namespace) -> None:
    """The stream is the program's: what happens on it after Connected is between it and the peer."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        async with await connected(program, domain, WEB6, 83) as stream:
            await stream.send_all(b"!")
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(5):
                await stream.receive_some()


@pytest.mark.parametrize(
    ("action", "number"),
    [
        ("reject with icmpx type host-unreachable", errno.EHOSTUNREACH),
        ("reject with icmpx type admin-prohibited", errno.EHOSTUNREACH),
    ],
)
async def test_a_router_that_says_unreachable_in_ipv4(lab: Lab, on_host: Namespace, action: str, number: int) -> None:
    lab.start_dhclient("up-b")
    lab.block("isp_b", "tcp dport 80", action=action)
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        failure = await refused(program, await program.domain("up-b/ipv4"), WEB)
        assert (failure.reason, failure.errno) == (NotConnectedReason.UNREACHABLE, number)


@pytest.mark.parametrize(
    ("action", "number"),
    [
        ("reject with icmpx type no-route", errno.ENETUNREACH),
        ("reject with icmpx type admin-prohibited", errno.EACCES),
    ],
)
async def test_a_router_that_says_unreachable_in_ipv6(lab: Lab, on_host: Namespace, action: str, number: int) -> None:
    lab.block("isp_a", "tcp dport 80", action=action)
    async with trimif.open_mif() as mif, open_program(mif) as program:
        failure = await refused(program, await program.domain("up-a/ipv6"), WEB6)
        assert (failure.reason, failure.errno) == (NotConnectedReason.UNREACHABLE, number)


async def test_a_peer_without_a_route_fails_at_once(lab: Lab, on_host: Namespace) -> None:
    """The tunnel has no default route. Without the check of the route, IPv4 would ask for the peer by ARP for long."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("vpn0/ipv4")
        with watch(lab) as wires:
            before = trio.current_time()
            failure = await refused(program, domain, WEB)
            assert trio.current_time() - before < 1
            assert (failure.reason, failure.errno) == (NotConnectedReason.NO_ROUTE, errno.ENETUNREACH)
            greeting = await read_greeting(await connected(program, domain, "203.0.113.130"))
            assert greeting.network == "vpn"
            assert wires.syns() == {"vpn": ["198.51.100.130"]}


async def test_a_router_of_nobody(lab: Lab, on_host: Namespace) -> None:
    """RFC 7556: a route of the host through a router that is none of the domain's is not the domain's."""
    lab.start_dhclient("up-a")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv4")
        lab.ip("host", "route add 203.0.113.99 via 198.51.100.3 dev up-a")
        lab.ip("host", "route add 203.0.113.98 via 198.51.100.1 dev up-a")
        with watch(lab) as wires:
            failure = await refused(program, domain, "203.0.113.99")
            assert (failure.reason, failure.errno) == (NotConnectedReason.WRONG_ROUTER, errno.EHOSTUNREACH)
            assert "198.51.100.3" in failure.text
            assert wires.syns() == {}
            assert (await refused(program, domain, "203.0.113.98")).reason is NotConnectedReason.UNREACHABLE
            assert wires.syns() == {"isp_a": [UP_A]}


async def test_a_peer_that_vanished_and_a_program_that_stops(lab: Lab, on_host: Namespace) -> None:
    """Stop Connecting: nothing more of it is received, and its socket is closed."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        with watch(lab) as wires:
            program.post(ConnectToAddress(domain, ip_address(WEB6), 84, "vain"))
            await seen(lambda: wires.syns(port=84))
            assert tcp_states(lab) == ["SYN-SENT"]
            program.post(trimif.StopConnecting("vain"))
            await trio.testing.wait_all_tasks_blocked()
            assert tcp_states(lab) == []
            assert wires.syns() == {"isp_a": [UP_A6]}


def tcp_states(lab: Lab) -> list[str]:
    """The states of the TCP connections of the host."""
    listing = lab.host.run(["ss", "-Htn", "state", "connected"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listing.splitlines()]


# ---------------------------------------------------------------- destinations on the host itself


async def test_loopback_and_own_addresses(lab: Lab, on_host: Namespace) -> None:
    """Each through the domain that owns it; through any other it is no route (bound to the device it would hang)."""
    lab.start_dhclient("up-a")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        for name, address in (
            ("lo/ipv4", "127.0.0.1"),
            ("lo/ipv6", "::1"),
            ("up-a/ipv4", UP_A),
            ("up-a/ipv6", UP_A6),
            ("vpn0/ipv4", "198.51.100.130"),
        ):
            async with open_listener(address) as listener:
                port = listener.socket.getsockname()[1]
                async with await connected(program, await program.domain(name), address, port) as stream:
                    assert stream.socket.getpeername()[0] == address
                    (await listener.accept()).socket.close()
                others = [each for each in program.domains() if each.partition("/")[2] == name.partition("/")[2]]
                for other in others:
                    if other != name:
                        failure = await refused(program, program.domains()[other], address, port)
                        assert failure.reason is NotConnectedReason.NO_ROUTE, (other, failure)


def open_listener(address: str) -> trio.SocketListener:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)
    listener.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(listener))
