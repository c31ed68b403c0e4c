"""The options of router advertisements, decoded: RFC 4861, 4.6 and those that came later.

====  ==========================  =======================
type  option                      specified in
====  ==========================  =======================
3     prefix information          RFC 4861, 4.6.2
5     MTU                         RFC 4861, 4.6.4
21    provisioning domain (PvD)   RFC 8801, 3.1
24    route information           RFC 4191, 2.3
25    recursive DNS servers       RFC 8106, 5.1
31    DNS search list             RFC 8106, 5.2
37    captive portal              RFC 8910, 2.3
38    PREF64                      RFC 8781, 4
144   encrypted DNS               RFC 9463, 6.1
====  ==========================  =======================

Each is decoded whole, or discarded whole and kept as it came; so are all others (`neighbour_discovery` has the
messages around them). The one exception is a PvD option whose inside is malformed: it still says whose the
advertisement is. To take the rest of the message for the implicit domain's would move data from one domain to another.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import TypeAlias

from attrs import define, field

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedDomain, AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._information import EncryptedDnsServer, RawOption
from trimif._wire.domain_names import decode_names
from trimif._wire.encrypted_dns import decode_encrypted_dns
from trimif._wire.neighbour_discovery_domains import split_domain_head
from trimif._wire.neighbour_discovery_fields import PREFERENCE_MASK, PREFERENCES, deadline, expect, network, split
from trimif._wire.neighbour_discovery_header import HEADER_OCTETS, parse_header

__all__ = ["Discarded", "collect_options", "ignore"]

PREFIX_INFORMATION = 3
MTU = 5
PROVISIONING_DOMAIN = 21
ROUTE_INFORMATION = 24
RECURSIVE_DNS_SERVERS = 25
DNS_SEARCH_LIST = 31
CAPTIVE_PORTAL = 37
PREF64 = 38
ENCRYPTED_DNS = 144

ON_LINK, AUTONOMOUS, ROUTER_ADDRESS = 0x80, 0x40, 0x20
MINIMUM_MTU = 1280  # RFC 8200, 5
PREF64_BITS = (96, 64, 56, 48, 40, 32)  # by prefix length code
RAW_OPTIONS = 64
"""Not more options than this are kept as they came; 65,535 octets could hold 8,189."""

PREFIX_LAYOUT = struct.Struct("!BBIII16s")
LIFETIME_LAYOUT = struct.Struct("!2xI")
ROUTE_LAYOUT = struct.Struct("!BBI")
PREF64_LAYOUT = struct.Struct("!H12s")

_URI = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:[]A-Za-z0-9._~:/?#[@!$&'()*+,;=%-]+")  # the characters of RFC 3986

Discarded: TypeAlias = Callable[[MalformedInput], object]
"""Is told of each option that was left out because of its own content."""


def ignore(_fault: MalformedInput) -> None:
    """Nobody counts."""


@define
class _Options:
    """What the options of one message, or of one PvD option, say so far."""

    index: int
    router: IPv6Address
    now: float
    discarded: Discarded
    nested: bool
    mtu: int | None = None
    prefixes: list[AdvertisedPrefix] = field(factory=list)
    routes: list[AdvertisedRoute] = field(factory=list)
    dns_servers: list[tuple[IPv6Address, float]] = field(factory=list)
    search_domains: list[tuple[str, float]] = field(factory=list)
    captive_portal: str | None = None
    pref64: list[tuple[IPv6Network, float]] = field(factory=list)
    encrypted_dns: list[tuple[EncryptedDnsServer, float]] = field(factory=list)
    domain: AdvertisedDomain | None = None
    domain_options: int = 0
    raw_options: list[RawOption] = field(factory=list)

    def advertisement(self, header: RouterHeader | None) -> RouterAdvertisement:
        return RouterAdvertisement(
            index=self.index,
            router=self.router,
            header=header,
            mtu=self.mtu,
            prefixes=tuple(self.prefixes),
            routes=tuple(self.routes),
            dns_servers=tuple(self.dns_servers),
            search_domains=tuple(self.search_domains),
            captive_portal=self.captive_portal,
            pref64=tuple(self.pref64),
            encrypted_dns=tuple(self.encrypted_dns),
            domain=self.domain,
            raw_options=tuple(self.raw_options),
        )

    def keep(self, code: int, content: bytes) -> None:
        if len(self.raw_options) < RAW_OPTIONS:
            self.raw_options.append(RawOption(code, content))


def collect_options(
    index: int,
    router: IPv6Address,
    header: RouterHeader | None,
    octets: bytes,
    now: float,
    discarded: Discarded,
    *,
    nested: bool = False,
) -> RouterAdvertisement:
    """Make an advertisement of a header and the octets of its options; `nested` in a PvD option.

    Raises:
        MalformedInput: the frame of an option is wrong, and with it all.
    """
    options = _Options(index, router, now, discarded, nested)
    for code, content in list(split(octets)):  # the whole frame first: an overrun at the end drops what came before
        decode = _DECODERS.get(code)
        if decode is None:
            options.keep(code, content)
            continue
        try:
            decode(options, content)
        except MalformedInput as fault:
            options.keep(code, content)
            discarded(fault)
    return options.advertisement(header)


def _decode_prefix_information(options: _Options, content: bytes) -> None:
    expect(len(content) == PREFIX_LAYOUT.size, "a prefix information option has the wrong length")
    length, flags, valid, preferred, _reserved, packed = PREFIX_LAYOUT.unpack(content)
    prefix = network(packed, length)
    # RFC 4862, 5.5.3 b and c: both are to be ignored silently.
    expect(not prefix.is_link_local, "a prefix information option is about the link-local prefix")
    expect(preferred <= valid, "a prefix is preferred for longer than it is valid")
    options.prefixes.append(
        AdvertisedPrefix(
            prefix=prefix,
            on_link=bool(flags & ON_LINK),
            autonomous=bool(flags & AUTONOMOUS),
            valid_until=deadline(valid, options.now),
            preferred_until=deadline(preferred, options.now),
            router_address=bool(flags & ROUTER_ADDRESS),
        )
    )


def _decode_mtu(options: _Options, content: bytes) -> None:
    expect(len(content) == LIFETIME_LAYOUT.size, "an MTU option has the wrong length")
    (mtu,) = LIFETIME_LAYOUT.unpack(content)
    expect(mtu >= MINIMUM_MTU, f"{mtu} is less than the least MTU of IPv6")
    if options.mtu is None:  # as the kernel does: the first one counts
        options.mtu = mtu


def _decode_domain(options: _Options, content: bytes) -> None:
    expect(
        not options.nested, "a PvD option is inside another"
    )  # "MUST NOT contain further PvD Options" (RFC 8801, 3.2)
    options.domain_options += 1
    # RFC 8801, 3.4: "hosts MUST ignore all but the first PvD Option".
    expect(options.domain_options == 1, "a router advertisement has a second PvD option")
    option, has_header, rest = split_domain_head(content)
    index, router, now = options.index, options.router, options.now
    options.domain = AdvertisedDomain(option, RouterAdvertisement(index, router))  # stands, whatever is inside
    header = parse_header(rest, now) if has_header else None  # type, code and checksum "MUST" be ignored
    inside = rest[HEADER_OCTETS:] if has_header else rest
    said = collect_options(index, router, header, inside, now, options.discarded, nested=True)
    options.domain = AdvertisedDomain(option, said)


def _decode_route_information(options: _Options, content: bytes) -> None:
    length, flags, seconds = ROUTE_LAYOUT.unpack_from(content)
    # RFC 4191, 2.3: length 3 always, 2 for up to 64 bits, 1 for the default route.
    expect(len(content) in (6, 14, 22), "a route information option has the wrong length")
    prefix = network(content[6:], length)
    expect(length <= 8 * (len(content) - 6), f"a route's prefix of {length} bits is cut short")
    preference = PREFERENCES.get(flags & PREFERENCE_MASK)
    if preference is None:  # "If the Reserved (10) value is received, the Route Information Option MUST be ignored"
        raise MalformedInput("a route has the reserved preference")
    options.routes.append(AdvertisedRoute(prefix, preference, deadline(seconds, options.now)))


def _decode_dns_servers(options: _Options, content: bytes) -> None:
    expect(len(content) >= 22 and len(content) % 16 == 6, "a list of DNS servers has the wrong length")
    servers = [IPv6Address(content[offset : offset + 16]) for offset in range(6, len(content), 16)]
    usable = not any(server.is_multicast or server.is_unspecified for server in servers)
    expect(usable, "a DNS server's address is not unicast")  # RFC 8106, 5.3.1
    (seconds,) = LIFETIME_LAYOUT.unpack_from(content)
    until = deadline(seconds, options.now)
    options.dns_servers.extend((server, until) for server in servers)


def _decode_search_domains(options: _Options, content: bytes) -> None:
    expect(len(content) >= 14, "a DNS search list is too short")
    domains = decode_names(content[6:])
    (seconds,) = LIFETIME_LAYOUT.unpack_from(content)
    until = deadline(seconds, options.now)
    options.search_domains.extend((domain, until) for domain in domains)


def _decode_captive_portal(options: _Options, content: bytes) -> None:
    uri = content.rstrip(b"\0")  # "padded with NUL (0x00)" (RFC 8910, 2.3)
    expect(_URI.fullmatch(uri) is not None, f"{uri!r} is not the URI of a captive portal")
    if options.captive_portal is None:
        options.captive_portal = uri.decode("ascii")


def _decode_pref64(options: _Options, content: bytes) -> None:
    expect(len(content) == PREF64_LAYOUT.size, "a PREF64 option has the wrong length")
    scaled, packed = PREF64_LAYOUT.unpack(content)
    code = scaled & 0b111
    # RFC 8781, 4: "The receiver MUST ignore the PREF64 option if the Prefix Length Code field is not set to one of
    # those values"; the lifetime is in units of eight seconds, so the field without the code is in seconds.
    expect(code < len(PREF64_BITS), f"the PREF64 option's prefix length code is {code}")
    options.pref64.append((network(packed, PREF64_BITS[code]), options.now + (scaled & ~0b111)))


def _decode_encrypted_dns(options: _Options, content: bytes) -> None:
    server, seconds = decode_encrypted_dns(content)
    options.encrypted_dns.append((server, deadline(seconds, options.now)))


_DECODERS: dict[int, Callable[[_Options, bytes], None]] = {
    PREFIX_INFORMATION: _decode_prefix_information,
    MTU: _decode_mtu,
    PROVISIONING_DOMAIN: _decode_domain,
    ROUTE_INFORMATION: _decode_route_information,
    RECURSIVE_DNS_SERVERS: _decode_dns_servers,
    DNS_SEARCH_LIST: _decode_search_domains,
    CAPTIVE_PORTAL: _decode_captive_portal,
    PREF64: _decode_pref64,
    ENCRYPTED_DNS: _decode_encrypted_dns,
}
