"""What messages of rtnetlink say: captured samples, and facts that were encoded as the kernel does it."""

from __future__ import annotations

import math
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import (
    AddressFact,
    AddressGone,
    AddressProtocol,
    AdvertisedPrefix,
    Fact,
    LinkFact,
    LinkGone,
    RouteFact,
    RouteGone,
    RouteProtocol,
    RouterAdvertisement,
)
from trimif._model import InterfaceKind, IPAddress, IPNetwork
from trimif._wire.netlink import Message, messages
from trimif._wire.netlink_facts import Tables, decode, unsaid

NOW = 1000.0
ROUTER = IPv6Address("fe80::a:1")
LINES = Path(__file__).with_name("netlink_samples.txt").read_text().splitlines()
SAMPLES = dict(line.split() for line in LINES if not line.startswith("#"))


def sample(name: str) -> Message:
    (message,) = messages(bytes.fromhex(SAMPLES[name]))
    return message


def address(text: str, length: int, protocol: AddressProtocol = AddressProtocol.UNSPECIFIED, **more: object) -> Fact:
    return AddressFact(3, ip_address(text), length, protocol=protocol, **more)  # type: ignore[arg-type]


def route(destination: str, gateway: str | None, protocol: int, **more: object) -> RouteFact:
    via = None if gateway is None else ip_address(gateway)
    return RouteFact(3, ip_network(destination), via, protocol=protocol, **more)  # type: ignore[arg-type]


FOUND: dict[str, tuple[Fact, ...]] = {
    "link-up": (LinkFact(3, "eth0", InterfaceKind.VIRTUAL, 1500, up=True, carrier=True),),
    "bridge-new": (LinkFact(4, "br0", InterfaceKind.BRIDGE, 1500, up=False, carrier=False),),
    "bridge-port-left": (),  # an RTM_DELLINK of AF_BRIDGE; the link stays
    "link-deleted": (LinkGone(4),),
    "address-ipv4": (address("198.51.100.10", 26),),
    "address-ipv4-peer": (address("198.51.100.200", 32),),  # not .201, which is the peer's
    "address-ipv4-deprecated": (address("198.51.100.20", 26, valid_until=NOW + 3600, preferred_until=NOW),),
    "address-ipv4-deleted": (AddressGone(3, IPv4Address("198.51.100.20"), 26),),
    "address-ipv6-link-local": (address("fe80::b818:f4ff:fea0:3c3", 64, AddressProtocol.LINK_LOCAL),),
    "address-ipv6-tentative": (
        address("2001:db8::77", 64, valid_until=NOW + 3600, preferred_until=NOW + 1800, tentative=True),
    ),
    "address-ipv6-temporary": (
        address(
            "2001:db8:a:0:5dc2:23f8:472f:5162",
            64,
            AddressProtocol.ROUTER_ADVERTISEMENT,
            valid_until=NOW + 3599,
            preferred_until=NOW + 1799,
            temporary=True,
        ),
    ),
    "address-ipv6-stateless": (
        address(
            "2001:db8:a:0:b818:f4ff:fea0:3c3",
            64,
            AddressProtocol.ROUTER_ADVERTISEMENT,
            valid_until=NOW + 3599,
            preferred_until=NOW + 1799,
        ),
    ),
    "route-ipv4-local": (),
    "route-ipv4-connected": (route("198.51.100.0/26", None, RouteProtocol.KERNEL),),
    "route-ipv4-default": (route("0.0.0.0/0", "198.51.100.1", RouteProtocol.DHCP, metric=100),),
    "route-ipv4-multipath": (
        route("203.0.113.0/24", "198.51.100.1", RouteProtocol.BOOT),
        route("203.0.113.0/24", "198.51.100.2", RouteProtocol.BOOT),
    ),
    "route-ipv4-multipath-deleted": (
        RouteGone(route("203.0.113.0/24", "198.51.100.1", RouteProtocol.BOOT)),
        RouteGone(route("203.0.113.0/24", "198.51.100.2", RouteProtocol.BOOT)),
    ),
    "route-ipv4-via-ipv6": (route("203.0.113.9/32", "fe80::a:1", RouteProtocol.BOOT),),
    "route-ipv4-table-1000": (route("203.0.113.10/32", None, RouteProtocol.BOOT, table=1000),),
    "route-ipv4-replaced": (route("203.0.113.9/32", "198.51.100.2", RouteProtocol.BOOT),),
    "route-ipv6-multicast": (),
    "route-ipv6-multipath": (
        route("2001:db8:5::/48", "fe80::1", RouteProtocol.BOOT, metric=1024),
        route("2001:db8:5::/48", "fe80::2", RouteProtocol.BOOT, metric=1024),
    ),
    "route-ipv6-advertised": (route("::/0", "fe80::a:1", RouteProtocol.ROUTER_ADVERTISEMENT, metric=1024),),
    "option-prefix": (
        RouterAdvertisement(
            3,
            ROUTER,
            prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:a::/64"), True, True, NOW + 3600, NOW + 1800),),
        ),
    ),
    "option-dns-servers": (RouterAdvertisement(3, ROUTER, dns_servers=((IPv6Address("2001:db8:a::1"), NOW + 600),)),),
    "option-search-domains": (RouterAdvertisement(3, ROUTER, search_domains=(("isp-a.example", NOW + 600),)),),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_captured_samples(name: str) -> None:
    assert decode(sample(name), NOW) == FOUND[name]


def test_expiry_of_a_captured_route() -> None:
    (fact,) = decode(sample("route-ipv6-advertised"), NOW)
    assert isinstance(fact, RouteFact)
    assert fact.expires == NOW + 1800  # it does not take part in comparisons


SIGNS = {
    "address-ipv6-tentative": Tables.ROUTES,
    "address-ipv6-temporary": Tables.ROUTES,
    "address-ipv6-stateless": Tables.ROUTES,
    "link-up": Tables.ROUTES,
    "bridge-new": Tables.ROUTES,
    "link-deleted": Tables.ROUTES,
    "address-ipv4-deleted": Tables.ROUTES,
    "route-ipv4-replaced": Tables.ROUTES,
    "option-prefix": Tables.ROUTES,
    "option-dns-servers": Tables.ROUTES,
    "option-search-domains": Tables.ROUTES,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_captured_samples_leave_unsaid(name: str) -> None:
    assert unsaid(sample(name)) is SIGNS.get(name, Tables.NONE)


# ---------------------------------------------------------------- facts, encoded as the kernel does it


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def family_of(value: IPAddress | IPNetwork) -> int:
    return 2 if value.version == 4 else 10


def seconds(until: float) -> int:
    return 0xFFFFFFFF if until == math.inf else int(until - NOW)


def encode_link(kind: int, family: int = 0, hardware: int = 1, flags: int = 0, attributes: bytes = b"") -> Message:
    return Message(kind, 0, 0, 0, struct.pack("=BxHiII", family, hardware, 7, flags, 0) + attributes)


def encode_address(kind: int, fact: AddressFact, peer: IPAddress | None = None) -> Message:
    flags = fact.tentative * 0x40 | fact.temporary * 0x01
    head = struct.pack("=BBBBi", family_of(fact.address), fact.prefix_length, flags & 0xFF, 0, fact.index)
    body = head + attribute(1, (peer or fact.address).packed)
    if peer is not None or fact.address.version == 4:
        body += attribute(2, fact.address.packed)
    body += attribute(6, struct.pack("=IIII", seconds(fact.preferred_until), seconds(fact.valid_until), 0, 0))
    body += attribute(8, number(flags)) + attribute(11, bytes([fact.protocol]))
    return Message(kind, 0, 0, 0, body)


def encode_route(kind: int, fact: RouteFact, rtm_kind: int = 1, flags: int = 0) -> Message:
    destination = fact.destination
    head = [family_of(destination), destination.prefixlen, 0, 0, min(fact.table, 252), fact.protocol, 0, rtm_kind]
    body = bytes(head) + number(flags) + attribute(15, number(fact.table)) + attribute(4, number(fact.index))
    if destination.prefixlen:
        body += attribute(1, destination.network_address.packed)
    if fact.gateway is not None and fact.gateway.version == destination.version:
        body += attribute(5, fact.gateway.packed)
    elif fact.gateway is not None:
        body += attribute(18, struct.pack("=H", family_of(fact.gateway)) + fact.gateway.packed)
    ticks = 0 if fact.expires == math.inf else int((fact.expires - NOW) * 100)
    body += attribute(6, number(fact.metric)) + attribute(12, struct.pack("=IIiIIIII", 0, 0, ticks, 0, 0, 0, 0, 0))
    return Message(kind, 0, 0, 0, body)


deadlines = st.just(math.inf) | st.integers(1, 0xFFFFFFFE).map(lambda lifetime: NOW + lifetime)
indices = st.integers(1, 0x7FFFFFFF)


@st.composite
def address_facts(draw: st.DrawFn) -> AddressFact:
    drawn = draw(st.ip_addresses())
    return AddressFact(
        draw(indices),
        drawn,
        draw(st.integers(0, drawn.max_prefixlen)),
        draw(deadlines),
        draw(deadlines),
        tentative=draw(st.booleans()),
        temporary=drawn.version == 6 and draw(st.booleans()),
        protocol=draw(st.sampled_from(AddressProtocol)),
    )


@st.composite
def route_facts(draw: st.DrawFn) -> RouteFact:
    drawn = draw(st.ip_addresses())
    destination = ip_network((drawn, draw(st.integers(0, drawn.max_prefixlen))), strict=False)
    return RouteFact(
        draw(indices),
        destination,
        draw(st.none() | st.ip_addresses(v=6) | st.ip_addresses(v=drawn.version)),
        draw(st.integers(0, 0xFFFFFFFF)),
        draw(st.integers(1, 0xFFFFFFFF).filter(lambda table: table != 255)),
        draw(st.integers(0, 255)),
        draw(st.just(math.inf) | st.integers(-30, 10**7).filter(bool).map(lambda lifetime: NOW + lifetime)),
    )


@given(address_facts(), st.none() | st.integers(1, 0xFFFFFFFF))
def test_addresses(fact: AddressFact, peer_number: int | None) -> None:
    peer = None if peer_number is None else type(fact.address)(peer_number)
    assert decode(encode_address(20, fact, peer), NOW) == (fact,)
    assert decode(encode_address(21, fact, peer), NOW) == (AddressGone(fact.index, fact.address, fact.prefix_length),)


@given(route_facts())
def test_routes(fact: RouteFact) -> None:
    (found,) = decode(encode_route(24, fact), NOW)
    assert found == fact
    assert isinstance(found, RouteFact)
    assert found.expires == pytest.approx(fact.expires, abs=0.01)
    assert decode(encode_route(25, fact), NOW) == (RouteGone(fact),)


ROUTE = RouteFact(3, IPv4Network("203.0.113.0/24"), IPv4Address("198.51.100.1"))


@pytest.mark.parametrize("kind", [0, 2, 3, 5, 6, 7, 255])
def test_routes_that_are_not_unicast(kind: int) -> None:
    assert decode(encode_route(24, ROUTE, rtm_kind=kind), NOW) == ()


def test_routes_that_are_cached_dead_or_local() -> None:
    assert decode(encode_route(24, ROUTE, flags=0x200), NOW) == ()
    assert decode(encode_route(24, ROUTE, flags=0x1), NOW) == ()
    local = RouteFact(3, ROUTE.destination, ROUTE.gateway, table=255)
    assert decode(encode_route(24, local), NOW) == ()


def test_a_dead_next_hop_of_several() -> None:
    hops = b"".join(
        struct.pack("=HBBi", 16, dead, 0, index) + attribute(5, bytes([198, 51, 100, index]))
        for dead, index in ((1, 3), (0, 4))
    )
    body = bytes([2, 24, 0, 0, 254, 4, 0, 1]) + number(0) + attribute(1, bytes([203, 0, 113, 0])) + attribute(9, hops)
    assert decode(Message(24, 0, 0, 0, body), NOW) == (
        RouteFact(4, IPv4Network("203.0.113.0/24"), IPv4Address("198.51.100.4"), protocol=RouteProtocol.STATIC),
    )


@pytest.mark.parametrize(
    ("flags", "tentative"),
    [(0x40, True), (0x44, False), (0x04, False), (0x08, True), (0x48, True), (0x4C, True), (0x0, False)],
)
def test_tentative_optimistic_and_duplicate_addresses(flags: int, tentative: bool) -> None:
    body = struct.pack("=BBBBi", 10, 64, flags, 0, 3) + attribute(1, IPv6Address("2001:db8::1").packed)
    (fact,) = decode(Message(20, 0, 0, 0, body), NOW)
    assert isinstance(fact, AddressFact)
    assert fact.tentative is tentative


def test_flags_beyond_eight_bits_count() -> None:
    body = struct.pack("=BBBBi", 10, 64, 0x40, 0, 3) + attribute(1, IPv6Address("2001:db8::1").packed)
    (fact,) = decode(Message(20, 0, 0, 0, body + attribute(8, number(0x100))), NOW)
    assert fact == AddressFact(
        3, IPv6Address("2001:db8::1"), 64, tentative=False, protocol=AddressProtocol.ROUTER_ADVERTISEMENT
    )


def test_a_secondary_ipv4_address_is_not_temporary() -> None:
    body = struct.pack("=BBBBi", 2, 24, 0x01, 0, 3) + attribute(2, bytes([198, 51, 100, 7]))
    (fact,) = decode(Message(20, 0, 0, 0, body), NOW)
    assert fact == AddressFact(3, IPv4Address("198.51.100.7"), 24)


NAME_AND_MTU = attribute(3, b"x0\0") + attribute(4, number(1400))


@pytest.mark.parametrize(
    ("hardware", "driver", "kind"),
    [
        (1, None, InterfaceKind.ETHERNET),
        (772, None, InterfaceKind.LOOPBACK),
        (801, None, InterfaceKind.WIFI),
        (803, None, InterfaceKind.WIFI),
        (65534, b"tun\0", InterfaceKind.TUNNEL),
        (1, b"tun\0", InterfaceKind.TUNNEL),
        (65534, b"wireguard\0", InterfaceKind.TUNNEL),
        (512, None, InterfaceKind.TUNNEL),
        (1, b"bridge\0", InterfaceKind.BRIDGE),
        (1, b"veth\0", InterfaceKind.VIRTUAL),
        (519, b"wwan\0", InterfaceKind.CELLULAR),
        (280, None, InterfaceKind.OTHER),
    ],
)
def test_kinds_of_links(hardware: int, driver: bytes | None, kind: InterfaceKind) -> None:
    information = b"" if driver is None else attribute(18, attribute(1, driver))
    message = encode_link(16, hardware=hardware, flags=0x10001, attributes=NAME_AND_MTU + information)
    assert decode(message, NOW) == (LinkFact(7, "x0", kind, 1400, up=True, carrier=True),)


@pytest.mark.parametrize("family", [7, 10])
def test_links_of_bridges_and_ipv6_are_not_links(family: int) -> None:
    for kind in (16, 17):
        message = encode_link(kind, family=family, attributes=NAME_AND_MTU)
        assert decode(message, NOW) == ()
        assert unsaid(message) is Tables.NONE


def test_a_wireless_event_is_no_link() -> None:
    assert decode(encode_link(16, attributes=attribute(3, b"wlan0\0") + attribute(11, bytes(16))), NOW) == ()


def test_a_name_that_is_no_text() -> None:
    (fact,) = decode(encode_link(16, attributes=attribute(3, b"\xff0\0") + attribute(4, number(1500))), NOW)
    assert isinstance(fact, LinkFact)
    assert fact.name == "\\xff0"


def test_what_may_be_one_fact_of_several() -> None:
    fact = AddressFact(3, IPv4Address("198.51.100.200"), 32)
    peer = IPv4Address("198.51.100.201")
    assert unsaid(encode_address(21, fact, peer)) == Tables.ROUTES | Tables.ADDRESSES
    assert unsaid(encode_address(21, fact)) == Tables.ROUTES
    assert unsaid(encode_address(21, AddressFact(3, ROUTER, 64))) == Tables.NONE
    body = encode_route(25, ROUTE).body
    for offset in (2, 3):  # a source prefix, a type of service
        assert unsaid(Message(25, 0, 0, 0, body[:offset] + b"\x10" + body[offset + 1 :])) == Tables.ROUTES
    assert unsaid(Message(25, 0, 0, 0, body)) == Tables.NONE


@pytest.mark.parametrize("name", SAMPLES)
def test_every_shorter_sample_is_malformed_or_says_less(name: str) -> None:
    whole = sample(name)
    for length in range(len(whole.body)):
        cut = whole._replace(body=whole.body[:length])
        try:
            found = decode(cut, NOW)
        except MalformedInput:
            continue
        assert len(found) <= len(FOUND[name])
