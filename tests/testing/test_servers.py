"""The demo's small servers: what they answer, held against other programs' decoding."""

from __future__ import annotations

import contextlib
import socket
import struct
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

import dns.message
import dns.rcode
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import RouterAdvertisement, RouterHeader
from trimif._wire.neighbour_discovery import parse_router_advertisement, router_solicitation
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_dhcpv4 import DHCPv4Offer, answer_dhcpv4
from trimif.testing._servers_dns import Zone, answer_dns, serve_dns
from trimif.testing._servers_router import serve_router_advertisements
from trimif.testing._servers_tcp import serve_greeting
from trimif.testing._servers_wire import carries_tcp, is_ipv4, run_wire

OFFER = DHCPv4Offer(
    address=IPv4Address("198.51.100.10"),
    network=IPv4Network("198.51.100.0/24"),
    server=IPv4Address("198.51.100.1"),
    routers=(IPv4Address("198.51.100.1"),),
    dns_servers=(IPv4Address("198.51.100.1"), IPv4Address("198.51.100.2")),
    search_domain="example.com",
    mtu=1400,
)


def dhcp(kind: str, **options: Any) -> bytes:
    """A client's message, built by pyroute2."""
    from pyroute2.dhcp.dhcp4msg import dhcp4msg
    from pyroute2.dhcp.enums.dhcp import MessageType

    options = {"message_type": MessageType[kind], "client_id": {"type": 1, "key": "02:00:00:00:00:01"}, **options}
    message = dhcp4msg({"op": 1, "xid": 0x1234, "chaddr": "02:00:00:00:00:01", "options": options})
    return bytes(message.encode().buf)


def decoded(octets: bytes | None) -> Any:
    from pyroute2.dhcp.dhcp4msg import dhcp4msg

    assert octets is not None
    return dhcp4msg(buf=octets).decode()


@pytest.mark.parametrize(("kind", "answer"), [("DISCOVER", 2), ("REQUEST", 5)])
def test_a_dhcp_client_gets_its_address_and_configuration(kind: str, answer: int) -> None:
    message = decoded(answer_dhcpv4(dhcp(kind, requested_ip="198.51.100.10"), OFFER))
    assert (message["op"], message["xid"], message["yiaddr"]) == (2, 0x1234, "198.51.100.10")
    assert message["chaddr"] == "02:00:00:00:00:01"
    options = message["options"]
    assert options["message_type"] == answer
    assert options["server_id"] == "198.51.100.1"
    assert options["subnet_mask"] == "255.255.255.0"
    assert options["router"] == ["198.51.100.1"]
    assert options["name_server"] == ["198.51.100.1", "198.51.100.2"]
    assert options["domain_name"] == "example.com"
    assert options["interface_mtu"] == 1400
    assert (options["lease_time"], options["renewal_time"], options["rebinding_time"]) == (3600, 1800, 3150)


def test_the_search_list_is_only_for_who_asks() -> None:
    asked = answer_dhcpv4(dhcp("DISCOVER", parameter_list=[1, 119]), OFFER)
    unasked = answer_dhcpv4(dhcp("DISCOVER", parameter_list=[1]), OFFER)
    assert asked is not None
    assert unasked is not None
    assert bytes([119, 13]) + b"\x07example\x03com\x00" in asked
    assert b"\x07example\x03com\x00" not in unasked


def test_another_address_is_refused() -> None:
    message = decoded(answer_dhcpv4(dhcp("REQUEST", requested_ip="198.51.100.11"), OFFER))
    assert message["options"]["message_type"] == 6
    assert message["yiaddr"] == "0.0.0.0"


def test_what_is_for_another_server_or_needs_no_answer_gets_none() -> None:
    assert answer_dhcpv4(dhcp("REQUEST", server_id="198.51.100.9", requested_ip="198.51.100.10"), OFFER) is None
    assert answer_dhcpv4(dhcp("RELEASE"), OFFER) is None


@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda tail: dhcp("DISCOVER")[:240] + tail))
def test_any_octets_are_answered_or_malformed_dhcp(octets: bytes) -> None:
    with contextlib.suppress(MalformedInput):
        answer_dhcpv4(octets, OFFER)


ZONE: Zone = {"host.example.com": [IPv4Address("198.51.100.80"), IPv6Address("2001:db8::80")], "empty.example.com": []}


@pytest.mark.parametrize(
    ("name", "kind", "code", "answer"),
    [
        ("host.example.com", "A", dns.rcode.NOERROR, ["198.51.100.80"]),
        ("HOST.example.com", "AAAA", dns.rcode.NOERROR, ["2001:db8::80"]),
        ("host.example.com", "MX", dns.rcode.NOERROR, []),
        ("empty.example.com", "A", dns.rcode.NOERROR, []),
        ("other.example.com", "A", dns.rcode.NXDOMAIN, []),
    ],
)
def test_the_dns_server_answers_from_its_zone(name: str, kind: str, code: int, answer: list[str]) -> None:
    query = dns.message.make_query(name, kind)
    response = dns.message.from_wire(answer_dns(query.to_wire(), ZONE))
    assert query.is_response(response)
    assert response.rcode() == code
    assert [str(item) for each in response.answer for item in each] == answer


@given(st.binary(max_size=100) | st.binary(max_size=40).map(lambda tail: b"\0\1\1\0\0\1\0\0\0\0\0\0" + tail))
def test_any_octets_are_answered_or_malformed_dns(octets: bytes) -> None:
    with contextlib.suppress(MalformedInput):
        answer_dns(octets, ZONE)


def test_frames_are_told_apart() -> None:
    ethernet = bytes(12)
    ipv4_tcp = ethernet + b"\x08\x00" + bytes(9) + b"\x06" + bytes(10)
    ipv4_udp = ethernet + b"\x08\x00" + bytes(9) + b"\x11" + bytes(10)
    ipv6_tcp = ethernet + b"\x86\xdd" + bytes(6) + b"\x06" + bytes(33)
    assert [carries_tcp(frame) for frame in (ipv4_tcp, ipv4_udp, ipv6_tcp, ethernet, b"")] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert [is_ipv4(frame) for frame in (ipv4_tcp, ethernet + b"\x08\x06", ipv6_tcp, b"")] == [True, True, False, False]


# ---------------------------------------------------------------- on a real wire


@contextlib.contextmanager
def two_ends() -> Any:
    """Two namespaces with an address on each end of a wire that takes 20 ms: here, wire, there."""

    def join(netlink: Any) -> None:
        for end, far in (("a", here), ("b", there)):
            netlink.link("add", ifname=end, kind="veth", peer={"ifname": "lan", "net_ns_fd": far.fileno()})
            netlink.link("set", index=netlink.link_lookup(ifname=end)[0], state="up")

    def address(number: int, netlink: Any) -> None:
        (index,) = netlink.link_lookup(ifname="lan")
        netlink.link("set", index=index, state="up")
        netlink.addr("add", index=index, address=f"198.51.100.{number}", prefixlen=24)

    with contextlib.ExitStack() as stack:
        here, wire, there = (
            stack.enter_context(contextlib.closing(Namespace(name))) for name in ("here", "wire", "there")
        )
        for namespace in (here, there):
            namespace.write_sysctl("net/ipv6/conf/default/accept_dad", 0)
        wire.write_sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        wire.change(join)
        for number, namespace in enumerate((here, there), 1):
            namespace.change(partial(address, number))
        yield here, wire, there


@pytest.mark.lab
async def test_a_wire_takes_its_time_and_loses_what_it_should(nursery: trio.Nursery) -> None:
    lost = False

    def delay(frame: bytes) -> float | None:
        return None if lost and carries_tcp(frame) else 0.02

    with two_ends() as (here, wire, there):
        await nursery.start(run_wire, wire, "a", "b", delay)
        await nursery.start(serve_greeting, there, IPv4Address("198.51.100.2"), 80, "there")
        await nursery.start(serve_dns, there, IPv4Address("198.51.100.2"), ZONE)
        with here.entered():
            began = trio.current_time()
            async with await trio.open_tcp_stream("198.51.100.2", 80) as stream:
                assert trio.current_time() - began >= 0.08  # ARP, then SYN and SYN+ACK
                assert await stream.receive_some() == b"there; you are 198.51.100.1\n"
            lost = True
            with trio.move_on_after(0.3) as scope:
                await trio.open_tcp_stream("198.51.100.2", 80)
            assert scope.cancelled_caught
            with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as client:
                await client.sendto(dns.message.make_query("host.example.com", "A").to_wire(), ("198.51.100.2", 53))
                with trio.fail_after(5):
                    assert b"\xc6\x33\x64\x50" in await client.recv(512)
        nursery.cancel_scope.cancel()


@pytest.mark.lab
async def test_a_router_advertises_by_itself_and_when_asked(nursery: trio.Nursery) -> None:
    said = RouterAdvertisement(0, IPv6Address("fe80::1"), RouterHeader(1800.0))
    with two_ends() as (here, wire, there), trio.fail_after(10):
        await nursery.start(run_wire, wire, "a", "b", lambda _frame: 0.0)
        with here.entered():
            index = socket.if_nametoindex("lan")
            listener = trio.socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        with listener:
            everything_but_advertisements = [0xFFFFFFFF] * 4 + [~(1 << (134 & 31)) & 0xFFFFFFFF] + [0xFFFFFFFF] * 3
            listener.setsockopt(socket.IPPROTO_ICMPV6, 1, struct.pack("=8I", *everything_but_advertisements))
            await nursery.start(serve_router_advertisements, there, "lan", said)
            for solicited in (False, True):
                if solicited:
                    await listener.sendto(router_solicitation(), ("ff02::2", 0, 0, index))
                octets, (sender, *_rest) = await listener.recvfrom(1500)
                heard = parse_router_advertisement(0, IPv6Address("fe80::1"), octets, 0.0)
                assert heard == said
                assert IPv6Address(sender.partition("%")[0]).is_link_local
        nursery.cancel_scope.cancel()
