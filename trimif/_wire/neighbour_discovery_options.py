"""The options of router advertisements: RFC 4861, 4.6; routes of RFC 4191; DNS of RFC 8106.

Each option is decoded whole, or discarded whole: see `neighbour_discovery`, which has the messages around them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv6Address, IPv6Network
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from attrs import define, field

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._wire.domain_names import decode_names, encode_name

__all__ = ["Discarded", "Options", "collect_options", "encode_options", "ignore", "lifetime", "pack"]

PREFIX_INFORMATION = 3
MTU = 5
ROUTE_INFORMATION = 24
RECURSIVE_DNS_SERVERS = 25
DNS_SEARCH_LIST = 31

INFINITE = 0xFFFFFFFF
MINIMUM_MTU = 1280  # RFC 8200, 5

PREFERENCE_BITS = {1: 0b01 << 3, 0: 0, -1: 0b11 << 3}  # RFC 4191, 2.1; 10 is reserved
PREFERENCES = {bits: preference for preference, bits in PREFERENCE_BITS.items()}
PREFERENCE_MASK = 0b11 << 3

_PREFIX_INFORMATION = struct.Struct("!BBIII16s")
_LIFETIME = struct.Struct("!2xI")
_ROUTE_INFORMATION = struct.Struct("!BBI")

T = TypeVar("T")
Discarded: TypeAlias = Callable[[MalformedInput], object]
"""Is told of each option that was left out because of its own content."""


def ignore(_fault: MalformedInput) -> None:
    """Nobody counts."""


@define
class Options:
    """What the options of one message say, so far."""

    now: float
    mtu: int | None = None
    prefixes: list[AdvertisedPrefix] = field(factory=list)
    routes: list[AdvertisedRoute] = field(factory=list)
    dns_servers: list[tuple[IPv6Address, float]] = field(factory=list)
    search_domains: list[tuple[str, float]] = field(factory=list)

    def advertisement(self, index: int, router: IPv6Address, header: RouterHeader | None) -> RouterAdvertisement:
        return RouterAdvertisement(
            index=index,
            router=router,
            header=header,
            mtu=self.mtu,
            prefixes=tuple(self.prefixes),
            routes=tuple(self.routes),
            dns_servers=tuple(self.dns_servers),
            search_domains=tuple(self.search_domains),
        )

    def deadline(self, seconds: int) -> float:
        return math.inf if seconds == INFINITE else self.now + seconds


def collect_options(octets: bytes, now: float, discarded: Discarded) -> Options:
    """Walk over the whole frame first: an overrun at the end drops what came before it, too."""
    options = Options(now)
    for kind, body in list(_split(octets)):
        decode = _DECODERS.get(kind)
        if decode is None:
            continue  # RFC 4861, 4.2: "Receivers MUST silently ignore any options they do not recognize"
        try:
            decode(options, body)
        except MalformedInput as fault:
            discarded(fault)
    return options


def _split(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Each option's type and what follows its length octet."""
    offset = 0
    while offset < len(octets):
        if offset + 2 > len(octets) or not (length := 8 * octets[offset + 1]):
            raise MalformedInput(f"the option at octet {offset} has no length, or length zero")
        if offset + length > len(octets):
            raise MalformedInput(f"the option at octet {offset} overruns the message")
        yield octets[offset], octets[offset + 2 : offset + length]
        offset += length


def _expect(met: bool, fault: str) -> None:
    if not met:
        raise MalformedInput(fault)


def _network(packed: bytes, prefix_length: int) -> IPv6Network:
    """ "The bits in the prefix after the prefix length are reserved and MUST be … ignored" (RFC 4861, 4.6.2)."""
    _expect(prefix_length <= 128, f"a prefix has {prefix_length} bits")
    return IPv6Network((packed.ljust(16, b"\0"), prefix_length), strict=False)


def _decode_prefix_information(options: Options, body: bytes) -> None:
    _expect(len(body) == _PREFIX_INFORMATION.size, "a prefix information option has the wrong length")
    length, flags, valid, preferred, _reserved, packed = _PREFIX_INFORMATION.unpack(body)
    prefix = _network(packed, length)
    # RFC 4862, 5.5.3 b and c: both are to be ignored silently.
    _expect(not prefix.is_link_local, "a prefix information option is about the link-local prefix")
    _expect(preferred <= valid, "a prefix is preferred for longer than it is valid")
    options.prefixes.append(
        AdvertisedPrefix(
            prefix=prefix,
            on_link=bool(flags & 0x80),
            autonomous=bool(flags & 0x40),
            valid_until=options.deadline(valid),
            preferred_until=options.deadline(preferred),
        )
    )


def _decode_mtu(options: Options, body: bytes) -> None:
    _expect(len(body) == _LIFETIME.size, "an MTU option has the wrong length")
    (mtu,) = _LIFETIME.unpack(body)
    _expect(mtu >= MINIMUM_MTU, f"{mtu} is less than the least MTU of IPv6")
    if options.mtu is None:  # as the kernel does: the first one counts
        options.mtu = mtu


def _decode_route_information(options: Options, body: bytes) -> None:
    length, flags, seconds = _ROUTE_INFORMATION.unpack_from(body)
    # RFC 4191, 2.3: length 3 always, 2 for up to 64 bits, 1 for the default route.
    _expect(len(body) in (6, 14, 22), "a route information option has the wrong length")
    prefix = _network(body[6:], length)
    _expect(length <= 8 * (len(body) - 6), f"a route's prefix of {length} bits is cut short")
    preference = PREFERENCES.get(flags & PREFERENCE_MASK)
    if preference is None:  # "If the Reserved (10) value is received, the Route Information Option MUST be ignored"
        raise MalformedInput("a route has the reserved preference")
    options.routes.append(AdvertisedRoute(prefix, preference, options.deadline(seconds)))


def _decode_dns_servers(options: Options, body: bytes) -> None:
    _expect(len(body) >= 22 and len(body) % 16 == 6, "a list of DNS servers has the wrong length")
    servers = [IPv6Address(body[offset : offset + 16]) for offset in range(6, len(body), 16)]
    usable = not any(server.is_multicast or server.is_unspecified for server in servers)
    _expect(usable, "a DNS server's address is not unicast")  # RFC 8106, 5.3.1
    until = options.deadline(*_LIFETIME.unpack_from(body))
    options.dns_servers.extend((server, until) for server in servers)


def _decode_search_domains(options: Options, body: bytes) -> None:
    _expect(len(body) >= 14, "a DNS search list is too short")
    domains = decode_names(body[6:])
    until = options.deadline(*_LIFETIME.unpack_from(body))
    options.search_domains.extend((domain, until) for domain in domains)


_DECODERS: dict[int, Callable[[Options, bytes], None]] = {
    PREFIX_INFORMATION: _decode_prefix_information,
    MTU: _decode_mtu,
    ROUTE_INFORMATION: _decode_route_information,
    RECURSIVE_DNS_SERVERS: _decode_dns_servers,
    DNS_SEARCH_LIST: _decode_search_domains,
}


# ---------------------------------------------------------------- encoded


def encode_options(advertisement: RouterAdvertisement, now: float = 0.0) -> bytes:
    """Encode only the options; see :func:`encode_router_advertisement`."""
    octets = b"" if advertisement.mtu is None else _option(MTU, pack(_LIFETIME, advertisement.mtu))
    octets += b"".join(_encode_prefix(prefix, now) for prefix in advertisement.prefixes)
    octets += b"".join(_encode_route(route, now) for route in advertisement.routes)
    for until, servers in _by_deadline(advertisement.dns_servers):
        packed = b"".join(server.packed for server in servers)
        octets += _option(RECURSIVE_DNS_SERVERS, _LIFETIME.pack(lifetime(until, now)) + packed)
    for until, domains in _by_deadline(advertisement.search_domains):
        names = b"".join(encode_name(domain) for domain in domains)
        octets += _option(DNS_SEARCH_LIST, _LIFETIME.pack(lifetime(until, now)) + names)
    return octets


def _encode_prefix(prefix: AdvertisedPrefix, now: float) -> bytes:
    flags = prefix.on_link << 7 | prefix.autonomous << 6
    valid, preferred = lifetime(prefix.valid_until, now), lifetime(prefix.preferred_until, now)
    packed = prefix.prefix.network_address.packed
    return _option(
        PREFIX_INFORMATION, _PREFIX_INFORMATION.pack(prefix.prefix.prefixlen, flags, valid, preferred, 0, packed)
    )


def _encode_route(route: AdvertisedRoute, now: float) -> bytes:
    length = route.prefix.prefixlen
    packed = route.prefix.network_address.packed[: 8 * math.ceil(length / 64)]
    head = _ROUTE_INFORMATION.pack(length, PREFERENCE_BITS[route.preference], lifetime(route.until, now))
    return _option(ROUTE_INFORMATION, head + packed)


def _by_deadline(items: Iterable[tuple[T, float]]) -> Iterator[tuple[float, list[T]]]:
    """Neighbours that share a deadline share an option."""
    for until, group in groupby(items, key=itemgetter(1)):
        yield until, [item for item, _until in group]


def _option(kind: int, body: bytes) -> bytes:
    length = math.ceil((2 + len(body)) / 8)
    if length > 255:
        raise ValueError(f"an option of {2 + len(body)} octets is too long: spread its items over several lifetimes")
    return bytes([kind, length]) + body.ljust(8 * length - 2, b"\0")


def lifetime(until: float, now: float) -> int:
    return INFINITE if until == math.inf else max(0, min(round(until - now), INFINITE - 1))


def pack(layout: struct.Struct, *values: Any) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise ValueError(f"a field of the router advertisement has no room for its value: {error}") from None
