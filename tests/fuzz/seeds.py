"""Good inputs to begin with: files beside this one, captured datagrams, and what the encoders make."""

from __future__ import annotations

import math
import struct
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
from jeepney import DBusAddress, Endianness, new_signal  # type: ignore[import-untyped,unused-ignore]

from trimif._facts import (
    AddressFact,
    AdvertisedDomain,
    AdvertisedPrefix,
    AdvertisedRoute,
    AllLeases,
    Fact,
    LinkFact,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import EncryptedDnsServer, PvdOption
from trimif._messages import AnnounceInterfaces, TranslateName
from trimif._model import DomainId, InterfaceKind
from trimif._names._question import Question
from trimif._sources._system_bus_messages import encode_call
from trimif._wire import dhcpv4_message
from trimif._wire.dhclient import parse_leases
from trimif._wire.dhcpv4_message import DHCPv4Message
from trimif._wire.dhcpv6_message import DHCPv6Message
from trimif._wire.domain_names import encode_name
from trimif._wire.encrypted_dns import encode_encrypted_dns
from trimif._wire.neighbour_discovery import encode_router_advertisement
from trimif._wire.service_parameters import encode_service_parameters
from trimif.testing._lines import FactsLine, Line, MessageLine, dump_line

NOW = 1000.0
INDEX = 7
ROUTER = IPv6Address("fe80::a:1")
TRANSACTION = 7
HARDWARE = b"\2\0\0\0\x0a\2"
DUID = b"\0\3\0\1" + HARDWARE

_HERE = Path(__file__).parent
_WIRE = _HERE.parent / "wire"


def files(*names: str) -> list[bytes]:
    """The contents of the files with these beginnings."""
    return [path.read_bytes() for path in sorted((_HERE / "seeds").iterdir()) if path.name.startswith(names)]


def blocks() -> list[bytes]:
    """What dhcpcd says, without lengths."""
    return [content.replace(b"\n", b"\0") for content in files("dhcpcd-")]


def datagrams() -> list[bytes]:
    """Captured from the kernel; and two that end a dump, with an error and without."""
    rows = (line.split() for line in (_WIRE / "netlink_samples.txt").read_text().splitlines() if line[:1] != "#")
    refused, done = (struct.pack("=IHHIIi", 20, kind, 0, 1, 1, number) for kind, number in ((2, -19), (3, 0)))
    return [*(bytes.fromhex(row[1]) for row in rows if row), refused, done]


def descriptions() -> list[bytes]:
    """What systemd-networkd says of itself."""
    more = (
        '{"Interfaces":[{"Index":2,"Name":"eth0","AdministrativeState":"configured","CaptivePortal":"https://p.example/",'
        '"DNS":[{"Address":[198,51,100,1],"Port":853,"ServerName":"dns.example","ConfigSource":"static"}],'
        '"DNSSettings":[{"DNSDefaultRoute":true,"ConfigSource":"static"}],'
        '"DHCPv6Client":{"Prefixes":[{"Prefix":[32,1,13,184,0,10,0,0,0,0,0,0,0,0,0,0],"PrefixLength":56,'
        '"ValidLifetimeUSec":900000000}],"Lease":{"Timeout1USec":100,"Timeout2USec":200}},'
        '"DNR":[{"Priority":1,"ServerName":"dns.example.","Addresses":[[198,51,100,1]],"Port":443,'
        '"Transports":["dot","h2"],"DoHPath":"/q{?dns}","ConfigSource":"DHCPv4"}],'
        '"NDisc":{"PREF64":[{"Prefix":[0,100,255,155,0,0,0,0,0,0,0,0,0,0,0,0],"PrefixLength":96,"LifetimeUSec":9,'
        '"ConfigProvider":[254,128,0,0,0,0,0,0,0,0,0,0,0,10,0,1]}]}}]}'
    )
    return [(_WIRE / "networkd_samples.json").read_bytes(), more.encode()]


def packets() -> list[bytes]:
    """A question by UDP over IPv4, and a router solicitation behind an extension header."""
    question = bytes.fromhex("4500003b0001000040110000c6336402c6336401") + bytes.fromhex("d431003500270000123401000001")
    name = bytes.fromhex("000000000000") + encode_name("Www.example.org") + b"\0\1\0\1"
    solicitation = bytes.fromhex("6000000000100000") + ROUTER.packed * 2 + b"\x3a\0\5\2\0\0\1\0\x85" + bytes(7)
    return [question + name, solicitation]


def bus_messages() -> list[bytes]:
    """A call, and a signal with variants, structures and dictionaries, in either order of octets."""
    call = encode_call(1, "org.example", "/org/example", "org.example.Manager", "Get", "ss", ("a", "b"))
    signal = new_signal(DBusAddress("/a/b", interface="a.b"), "Changed", "sa{sv}a(iiay)as", _CHANGED)
    signal.header.endianness = Endianness.big
    return [call, bytes(signal.serialise(2)), call * 3]


_CHANGED: tuple[Any, ...] = (
    "a.b",
    {"x": ("v", ("s", "y")), "z": ("a(isb)", [(1, "c", True)])},
    [(2, 2, b"\xc0\0\2\1")],
    [],
)


# ---------------------------------------------------------------- from the network

_ENCRYPTED = EncryptedDnsServer(
    1, "dns.example", (IPv6Address("2001:db8::53"),), ("h2", "dot"), 8443, "/q{?dns}", ((1, b"\2h2\3dot"),)
)
_IMPLICIT = RouterAdvertisement(
    index=INDEX,
    router=ROUTER,
    header=RouterHeader(1800, managed=True, preference=1, hop_limit=64, retransmission_time=1.5),
    mtu=1400,
    prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:1::/64"), True, True, 3600, math.inf),),
    routes=(AdvertisedRoute(IPv6Network("2001:db8:f::/48"), -1, 600),),
    dns_servers=((IPv6Address("2001:db8::1"), 600), (IPv6Address("2001:db8::2"), 600)),
    search_domains=(("example.org", 600), ("corp.example", 600)),
    captive_portal="https://portal.example/api",
    pref64=((IPv6Network("64:ff9b::/96"), 800),),
    encrypted_dns=((_ENCRYPTED, 600), (EncryptedDnsServer(2, "other.example"), 600)),
)
_DOMAIN = AdvertisedDomain(PvdOption("pvd.example", http=True, delay=3, sequence=5), _IMPLICIT)
_EXPLICIT = RouterAdvertisement(index=INDEX, router=ROUTER, header=RouterHeader(0), domain=_DOMAIN)


def advertisements() -> list[bytes]:
    """Router advertisements with all options, for the implicit domain and in a PvD option."""
    return [encode_router_advertisement(each) for each in (_IMPLICIT, _EXPLICIT)]


def encrypted_dns_option() -> bytes:
    """The content of one."""
    return encode_encrypted_dns(_ENCRYPTED, 600)


def service_parameters() -> bytes:
    """Those of an encrypted name server, a mandatory one and an unknown one too."""
    return encode_service_parameters(("h2", "dot"), 8443, "/q{?dns}", ((0, b"\0\1"), (2, b""), (9, b"more")))


def encrypted_dns(length: struct.Struct, addresses: bytes) -> bytes:
    """A server as DHCP tells it; the lengths of name and addresses differ with the family."""
    name, parameters = encode_name("dns.example"), service_parameters()
    return b"\0\1" + length.pack(len(name)) + name + length.pack(len(addresses)) + addresses + parameters


_ROUTES = bytes([24, 203, 0, 113, 198, 51, 100, 1, 0, 198, 51, 100, 1])
_SERVER4 = encrypted_dns(struct.Struct("!B"), bytes([198, 51, 100, 53]))
OPTIONS4: dict[int, bytes] = {
    1: b"\xff\xff\xff\0",
    3: b"\xc6\x33\x64\1",
    6: b"\xc6\x33\x64\1\xc6\x33\x64\3",
    15: b"isp.example",
    26: b"\5\xb4",
    42: b"\xc6\x33\x64\1",
    43: b"ANDROID_METERED",
    51: b"\0\0\0\x78",
    54: b"\xc6\x33\x64\1",
    58: b"\0\0\0\x3c",
    59: b"\0\0\0\x69",
    61: b"\1" + HARDWARE,
    108: b"\0\0\7\x08",
    114: b"https://portal.example/api",
    119: b"\7example\3org\0\1a\xc0\0",
    121: _ROUTES,
    146: b"\1\xc6\x33\x64\1\0\0\0\0" + encode_name("corp.example") + b"\0",
    162: struct.pack("!H", len(_SERVER4)) + _SERVER4,
    224: b"private",
    252: b"http://wpad.example/wpad.dat",
}


def dhcpv4_messages() -> list[bytes]:
    """A DHCPACK to a DHCPDISCOVER, and one to a DHCPINFORM."""
    leased, asked = IPv4Address("198.51.100.10"), IPv4Address("198.51.100.9")
    ack = dhcpv4_message.ACK
    messages = (
        DHCPv4Message(True, ack, TRANSACTION, your_address=leased, hardware_address=HARDWARE, options=OPTIONS4),
        DHCPv4Message(True, ack, TRANSACTION, asked, hardware_address=HARDWARE, options={52: b"\3", 6: asked.packed}),
    )
    return [dhcpv4_message.encode_message(each) for each in messages]


def _option6(code: int, content: bytes) -> bytes:
    return struct.pack("!HH", code, len(content)) + content


_PACKED6 = IPv6Address("2001:db8:a::1000").packed
OPTIONS6: list[tuple[int, bytes]] = [
    (1, DUID),
    (2, b"\0\3\0\1\2\0\0\0\x0a\1"),
    (3, struct.pack("!4sII", b"iaid", 30, 45) + _option6(5, _PACKED6 + struct.pack("!II", 60, 90))),
    (25, struct.pack("!4sII", b"iaid", 0, 0) + _option6(26, struct.pack("!IIB16s", 60, 0xFFFFFFFF, 56, _PACKED6))),
    (13, b"\0\0all is well"),
    (23, _PACKED6 + ROUTER.packed),
    (24, encode_name("isp.example") + encode_name("example.com")),
    (31, _PACKED6),
    (32, b"\0\0\x0e\x10"),
    (56, _option6(1, _PACKED6) + _option6(2, bytes([255]) + bytes(15)) + _option6(3, encode_name("time.example"))),
    (74, _PACKED6 + b"\1" + encode_name("corp.example") + b"\0"),
    (83, b"\0\0\1\0"),
    (103, b"https://portal.example/api"),
    (144, encrypted_dns(struct.Struct("!H"), _PACKED6)),
    (200, b"unknown"),
]


def dhcpv6_message(kind: int = 7) -> DHCPv6Message:
    """A Reply with every option that has a type."""
    return DHCPv6Message(kind, TRANSACTION, tuple(OPTIONS6))


# ---------------------------------------------------------------- the DNS

QUESTION_NAME = dns.name.from_text("www.example.org.")


def answers(question: Question) -> list[bytes]:
    """A name server's answers, less their id."""
    soa = "example.org. SOA ns.example.org. admin.example.org. 1 2 3 4 5"
    cases: list[tuple[str, list[str], list[str]]] = [
        ("NOERROR", ["www.example.org. CNAME a.example.org.", "a.example.org. A 203.0.113.1"], []),
        ("NOERROR", ["www.example.org. CNAME a.example.", "*.example. DNAME b.example."], ["example. NS ns.example."]),
        ("NOERROR", ["www.example.org. A 203.0.113.1", "www.example.org. HTTPS 1 . alpn=h2 port=443"], [soa]),
        ("NXDOMAIN", [], [soa, "a.example.org. NSEC b.example.org. A MX RRSIG NSEC TYPE1234"]),
        ("SERVFAIL", [], []),
    ]
    return [_answer(question, *case)[2:] for case in cases]


def _answer(question: Question, code: str, records: list[str], authority: list[str]) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(question.octets))
    message.set_rcode(dns.rcode.from_text(code))
    for section, texts in ((message.answer, records), (message.authority, authority)):
        for text in texts:
            owner, kind, data = text.split(" ", 2)
            section.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
    return message.to_wire()


# ---------------------------------------------------------------- recordings


def recorded_lines() -> list[bytes]:
    """Lines of a recording."""
    leases = [parse_leases(content.decode("latin-1"), lambda at: at.timestamp()) for content in files("dhclient")]
    facts: tuple[Fact, ...] = (
        LinkFact(2, "eth0", InterfaceKind.ETHERNET, 1500, True, True),
        AddressFact(2, ip_address("2001:db8::1"), 64, math.inf, 5.0),
        _EXPLICIT,
        *(AllLeases("dhclient", each) for each in leases),
    )
    posted = (AnnounceInterfaces(), TranslateName(DomainId("d"), "a.example", 3))
    lines: list[Line] = [FactsLine(NOW, (fact,)) for fact in facts]
    lines += [MessageLine(1, message, late) for message in posted for late in (False, True)]
    return [dump_line(line).encode() for line in lines]
