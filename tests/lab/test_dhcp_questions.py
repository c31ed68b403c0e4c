"""Questions to real DHCP servers: who answers, what it says, and when it is asked again."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from trimif._facts import AddressFact, AddressGone, AllLeases, DHCPv6Lease, Lease, LinkFact
from trimif._information import Information
from trimif._model import InterfaceKind, Origin
from trimif._sources._source import Observer, Source
from trimif._sources.dhcp_questions import DhcpQuestions
from trimif._wire.dhcpv4_message import ACK, DHCPv4Message, encode_message, parse_message

from ._dhcp_link import Link, open_link, poll, running, start_dhcpd, start_dnsmasq, start_kea6

pytestmark = pytest.mark.lab

HOST, ISP = IPv4Address("198.51.100.9"), IPv4Address("198.51.100.1")
ISP6 = IPv6Address("2001:db8:a::1")
DHCPV4 = (
    "--dhcp-range=198.51.100.10,198.51.100.20,120",
    "--dhcp-option=option:dns-server,198.51.100.1",
    "--dhcp-option=option:domain-search,isp.example",
    "--dhcp-option=option:classless-static-route,203.0.113.0/24,198.51.100.1",
    "--dhcp-option=114,https://portal.isp.example/api",
)
DHCPV6 = (
    "--dhcp-range=2001:db8:a::,ra-stateless",
    "--dhcp-option=option6:dns-server,[2001:db8:a::1]",
    "--dhcp-option=option6:domain-search,isp.example",
    "--dhcp-option=option6:103,https://portal.isp.example/api",
)


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with open_link(tmp_path) as link:
        link.ip(link.host, f"address add {HOST}/24 dev eth0")
        yield link


@pytest.fixture
def on_host(link: Link) -> Iterator[None]:
    with link.host.entered():
        yield


def eth0(link: Link, *, carrier: bool = True) -> LinkFact:
    return LinkFact(link.index(), "eth0", InterfaceKind.ETHERNET, 1500, True, carrier)


def address4(link: Link) -> AddressFact:
    return AddressFact(link.index(), HOST, 24)


def address6(link: Link) -> AddressFact:
    return AddressFact(link.index(), IPv6Address(link.link_local()), 64)


def asking(*interfaces: str) -> DhcpQuestions:
    questions = DhcpQuestions(interfaces or ("eth0",))
    source: Source = questions
    assert isinstance(source, Observer)
    return questions


# ---------------------------------------------------------------- DHCPINFORM


async def test_dnsmasq_answers_dhcpinform(link: Link, on_host: None) -> None:
    start_dnsmasq(link, *DHCPV4)
    questions = asking()
    async with running(questions) as dhcp:
        assert await dhcp.leases() == ()
        questions.observe([eth0(link), address4(link)])
        lease = await dhcp.lease()
        assert (lease.interface, lease.address, lease.prefix_length) == ("eth0", HOST, 24)
        assert lease.origin == Origin("dhcp", ISP)
        assert lease.valid_until == math.inf
        assert lease.dns_servers == (ISP,)
        assert lease.search_domains == ("isp.example",)
        assert [str(route) for route in lease.routes] == ["203.0.113.0/24 via 198.51.100.1"]
        data = dict(lease.data)
        assert data[Information.CAPTIVE_PORTAL] == "https://portal.isp.example/api"
        assert Information.LEASE not in data
        questions.observe([AddressGone(link.index(), HOST, 24)])
        assert await dhcp.leases() == ()


async def test_dhcpd_answers_dhcpinform_and_is_asked_until_it_is_there(link: Link, on_host: None) -> None:
    questions = asking()
    async with running(questions) as dhcp:
        assert await dhcp.leases() == ()
        questions.observe([eth0(link), address4(link)])
        await trio.sleep(2)  # the first question is lost
        start_dhcpd(link, 4, DHCPD)
        with trio.fail_after(8):
            assert (await dhcp.lease()).search_domains == ("isp.example",)


DHCPD = """
authoritative; ping-check false;
subnet 198.51.100.0 netmask 255.255.255.0 { option routers 198.51.100.1; option domain-name "isp.example"; }
"""


async def test_what_was_not_asked_for_is_no_answer(link: Link, on_host: None) -> None:
    """Another transaction, another host, another port, another kind, no DHCP at all; then the right answer."""
    questions = asking()
    with link.isp.entered():
        server, stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with server, stranger:
        server.bind(("", 67))
        server.setblocking(False)
        async with running(questions) as dhcp:
            assert await dhcp.leases() == ()
            questions.observe([eth0(link), address4(link)])
            asked = parse_message((await trio.socket.from_stdlib_socket(server).recvfrom(2000))[0])
            assert (asked.reply, asked.kind, asked.client_address) == (False, 8, HOST)
            good = DHCPv4Message(True, ACK, asked.transaction, HOST, hardware_address=asked.hardware_address)
            for changes in (
                {"transaction": asked.transaction ^ 1},
                {"hardware_address": b"\2\0\0\0\0\1"},
                {"kind": 6},
                {"reply": False},
            ):
                server.sendto(encode_message(_with(good, **changes)), (str(HOST), 68))
            server.sendto(b"nonsense", (str(HOST), 68))
            stranger.sendto(encode_message(good), (str(HOST), 68))
            await poll(lambda: questions.statistics().malformed == 5)
            assert dhcp.nothing_more()
            server.sendto(encode_message(good), (str(HOST), 68))
            assert (await dhcp.lease()).origin == Origin("dhcp")


def _with(message: DHCPv4Message, **changes: object) -> DHCPv4Message:

    return evolve(message, **changes)  # type: ignore[arg-type]


# ---------------------------------------------------------------- Information-Request


async def test_dnsmasq_answers_information_requests(link: Link, on_host: None) -> None:
    start_dnsmasq(link, *DHCPV6)
    questions = asking()
    async with running(questions) as dhcp:
        assert await dhcp.leases() == ()
        questions.observe([eth0(link), address6(link)])
        lease = await dhcp.lease6()
        assert lease.interface == "eth0"
        assert lease.addresses == ()
        assert lease.origin.source == "dhcp"
        assert lease.origin.server is not None
        assert lease.origin.server.is_link_local
        data = dict(lease.data)
        assert data[Information.DNS_SERVERS] == (ISP6,)
        assert data[Information.SEARCH_DOMAINS] == ("isp.example",)
        assert data[Information.CAPTIVE_PORTAL] == "https://portal.isp.example/api"


async def test_kea_answers_information_requests(link: Link, on_host: None) -> None:
    options = (
        {"name": "dns-servers", "data": "2001:db8:a::1"},
        {"name": "sntp-servers", "data": "2001:db8:a::2"},
        {"name": "information-refresh-time", "data": "900"},
    )
    start_kea6(link, options)
    questions = asking()
    async with running(questions) as dhcp:
        assert await dhcp.leases() == ()
        questions.observe([eth0(link), address6(link)])
        lease = await dhcp.lease6()
        assert lease.valid_until - trio.current_time() == pytest.approx(960, abs=5)
        assert dict(lease.data) == {
            Information.DNS_SERVERS: (ISP6,),
            Information.NTP_SERVERS: (IPv6Address("2001:db8:a::2"),),
        }


# ---------------------------------------------------------------- whether to ask


async def test_a_link_that_has_carrier_again_is_asked_again(link: Link, on_host: None) -> None:
    first = start_dnsmasq(link, *DHCPV4)
    questions = asking()
    async with running(questions) as dhcp:
        assert await dhcp.leases() == ()
        questions.observe([eth0(link), address4(link)])
        assert (await dhcp.lease()).search_domains == ("isp.example",)
        first.terminate()
        await poll(lambda: first.poll() is not None)
        start_dnsmasq(link, *DHCPV4[:2], "--dhcp-option=option:domain-search,other.example")
        questions.observe([eth0(link, carrier=False)])
        await trio.testing.wait_all_tasks_blocked()
        assert dhcp.nothing_more()  # what was told stays for a short loss of carrier
        questions.observe([eth0(link)])
        assert (await dhcp.lease()).search_domains == ("other.example",)


async def test_what_somebody_else_knows_is_not_asked_or_told(link: Link, on_host: None) -> None:
    start_dnsmasq(link, *DHCPV4, *DHCPV6)
    theirs4 = Lease("eth0", Origin("dhcpcd"), HOST, 24, math.inf)
    theirs6 = DHCPv6Lease("eth0", Origin("dhcpcd"), math.inf)
    questions = asking()
    async with running(questions) as dhcp:
        assert await dhcp.leases() == ()
        questions.observe([AllLeases("dhcpcd", (theirs4,)), eth0(link), address4(link), address6(link)])
        assert isinstance((await dhcp.leases())[0], DHCPv6Lease)
        questions.observe([AllLeases("dhcpcd", (theirs6,))])
        assert await dhcp.leases() == ()
        assert isinstance((await dhcp.leases())[0], Lease)
        questions.observe([AllLeases("dhcpcd", ())])
        assert {type(lease) for lease in await dhcp.leases()} == {Lease, DHCPv6Lease}


async def test_only_the_interfaces_that_were_named_are_asked_on(link: Link, on_host: None) -> None:
    questions = asking("eth1")
    with link.isp.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 67))
        server.setblocking(False)
        async with running(questions):
            questions.observe([eth0(link), address4(link), address6(link)])
            await trio.sleep(1.2)
            with pytest.raises(BlockingIOError):
                server.recv(100)


CAP_NET_BIND_SERVICE = 10
CAPABILITY_VERSION_3 = 0x20080522


@contextmanager
def without_low_ports() -> Iterator[None]:
    """Take CAP_NET_BIND_SERVICE from the calling thread for the length of the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("@Ii", CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)
    assert libc.capget(header, sets) == 0
    effective, *others = struct.unpack("@6I", sets.raw)
    assert libc.capset(header, struct.pack("@6I", effective & ~(1 << CAP_NET_BIND_SERVICE), *others)) == 0
    try:
        yield
    finally:
        assert libc.capset(header, sets) == 0


async def test_without_the_privilege_it_says_so_once_for_each_family(link: Link, on_host: None) -> None:
    questions = asking()
    with without_low_ports():
        async with running(questions) as dhcp:
            assert await dhcp.leases() == ()
            questions.observe([eth0(link), address4(link), address6(link)])
            said = [await dhcp.limitation(), await dhcp.limitation()]
            assert {each.source for each in said} == {"dhcp"}
            assert sorted(each.missing.split()[2] for each in said) == ["DHCPINFORM", "Information-Request"]
            assert all("CAP_NET_BIND_SERVICE" in each.remedy for each in said)
            assert all(os.strerror(errno.EACCES) in each.missing for each in said)
            questions.observe([AddressGone(link.index(), HOST, 24), address4(link)])
            questions.observe([eth0(link, carrier=False)])
            await trio.testing.wait_all_tasks_blocked()
            questions.observe([eth0(link)])
            await trio.sleep(1.2)
            assert dhcp.nothing_more()


async def test_cancelled_it_leaves_no_socket(link: Link, on_host: None) -> None:
    def sockets() -> set[str]:
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        return {target for each in links if os.path.islink(each) and "socket:" in (target := os.readlink(each))}

    before = sockets()
    questions = asking()
    async with running(questions):
        questions.observe([eth0(link), address4(link), address6(link)])
        await poll(lambda: len(sockets()) == len(before) + 2)
    assert sockets() == before
