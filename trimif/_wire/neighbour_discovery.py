"""Router advertisements and solicitations: the octets of RFC 4861, with the options of RFC 4191 and RFC 8106.

Two things can be wrong with an advertisement. When its *frame* is (too short, an option of length zero, an option
that overruns the message), the whole message is dropped: "all included options have a length that is greater than
zero" is a condition of validity in RFC 4861, 6.1.2. When the *content* of an option is, that option alone is
discarded, whole, as RFC 4861 5.5.3, RFC 4191 2.3 and RFC 8106 5.3.1 ("the host MUST discard the options") say;
who wants to count those passes `discarded`. So nothing is ever half applied, and a router that gets a novel option
wrong does not lose its host the rest.

Lifetimes on the wire are seconds from now; in facts they are deadlines: 0 becomes `now` itself, which withdraws,
and ffffffff becomes ``math.inf``. :func:`encode_router_advertisement` is the way back, exactly.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv6Address, IPv6Network
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from attrs import define, field

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._wire.domain_names import decode_names, encode_name

__all__ = [
    "ROUTER_ADVERTISEMENT",
    "ROUTER_SOLICITATION",
    "encode_options",
    "encode_router_advertisement",
    "parse_kernel_options",
    "parse_router_advertisement",
    "router_solicitation",
]

ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134

PREFIX_INFORMATION = 3
MTU = 5
ROUTE_INFORMATION = 24
RECURSIVE_DNS_SERVERS = 25
DNS_SEARCH_LIST = 31

INFINITE = 0xFFFFFFFF
MINIMUM_MTU = 1280  # RFC 8200, 5

_HEADER = struct.Struct("!BBHBBHII")
_PREFIX_INFORMATION = struct.Struct("!BBIII16s")
_LIFETIME = struct.Struct("!2xI")
_ROUTE_INFORMATION = struct.Struct("!BBI")

_PREFERENCE_BITS = {1: 0b01 << 3, 0: 0, -1: 0b11 << 3}
_PREFERENCES = {bits: preference for preference, bits in _PREFERENCE_BITS.items()}
_PREFERENCE_MASK = 0b11 << 3

T = TypeVar("T")
Discarded = Callable[[MalformedInput], object]


def _ignore(_fault: MalformedInput) -> None:
    """Nobody counts."""


def parse_router_advertisement(
    index: int, router: IPv6Address, octets: bytes, now: float, discarded: Discarded = _ignore
) -> RouterAdvertisement:
    """Parse a router advertisement, from the ICMPv6 type on (RFC 4861, 4.2).

    The conditions of RFC 4861, 6.1.2 that the octets do not show are the caller's: hop limit 255, a link-local
    source, and the checksum, which the kernel verifies.

    Args:
        index: of the interface on which it came.
        router: its source address.
        now: when it came, in seconds on the clock of the deadlines.
        discarded: told of each option that was left out because of its own content.

    Raises:
        MalformedInput: the message is to be dropped.
    """
    if len(octets) < _HEADER.size:
        raise MalformedInput(f"a router advertisement of {len(octets)} octets is too short")
    kind, code, _checksum, hop_limit, flags, lifetime, _reachable, _retransmit = _HEADER.unpack_from(octets)
    if kind != ROUTER_ADVERTISEMENT or code != 0:
        raise MalformedInput(f"ICMPv6 type {kind} code {code} is not a router advertisement")
    header = RouterHeader(
        until=now + lifetime,
        managed=bool(flags & 0x80),
        other_configuration=bool(flags & 0x40),
        # RFC 4191, 2.2: the reserved value is medium; with a lifetime of zero the receiver ignores it.
        preference=_PREFERENCES.get(flags & _PREFERENCE_MASK, 0) if lifetime else 0,
        hop_limit=hop_limit,
    )
    return _collect(octets[_HEADER.size :], now, discarded).advertisement(index, router, header)


def parse_kernel_options(
    index: int, router: IPv6Address, octets: bytes, now: float, discarded: Discarded = _ignore
) -> RouterAdvertisement:
    """Parse bare options of a router advertisement, as RTM_NEWNDUSEROPT carries them; the header is None.

    Arguments and errors are those of :func:`parse_router_advertisement`.
    """
    return _collect(octets, now, discarded).advertisement(index, router, None)


def router_solicitation() -> bytes:
    """Build a router solicitation (RFC 4861, 4.1), without options; the kernel fills in the checksum."""
    return struct.pack("!BBHI", ROUTER_SOLICITATION, 0, 0, 0)


# ---------------------------------------------------------------- options, decoded


@define
class _Options:
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

    def deadline(self, lifetime: int) -> float:
        return math.inf if lifetime == INFINITE else self.now + lifetime


def _collect(octets: bytes, now: float, discarded: Discarded) -> _Options:
    """Walk over the whole frame first: an overrun at the end drops what came before it, too."""
    options = _Options(now)
    for kind, body in list(_split(octets)):
        decode = _DECODERS.get(kind)
        if decode is None:
            continue  # RFC 4861, 4.6: "Options that are not recognized MUST be silently ignored"
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


def _decode_prefix_information(options: _Options, body: bytes) -> None:
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


def _decode_mtu(options: _Options, body: bytes) -> None:
    _expect(len(body) == _LIFETIME.size, "an MTU option has the wrong length")
    (mtu,) = _LIFETIME.unpack(body)
    _expect(mtu >= MINIMUM_MTU, f"{mtu} is less than the least MTU of IPv6")
    if options.mtu is None:  # as the kernel does: the first one counts
        options.mtu = mtu


def _decode_route_information(options: _Options, body: bytes) -> None:
    length, flags, lifetime = _ROUTE_INFORMATION.unpack_from(body)
    # RFC 4191, 2.3: length 3 always, 2 for up to 64 bits, 1 for the default route.
    _expect(len(body) in (6, 14, 22), "a route information option has the wrong length")
    prefix = _network(body[6:], length)
    _expect(length <= 8 * (len(body) - 6), f"a route's prefix of {length} bits is cut short")
    preference = _PREFERENCES.get(flags & _PREFERENCE_MASK)
    if preference is None:  # "If the Reserved (10) value is received, the Route Information Option MUST be ignored"
        raise MalformedInput("a route has the reserved preference")
    options.routes.append(AdvertisedRoute(prefix, preference, options.deadline(lifetime)))


def _decode_dns_servers(options: _Options, body: bytes) -> None:
    _expect(len(body) >= 22 and len(body) % 16 == 6, "a list of DNS servers has the wrong length")
    servers = [IPv6Address(body[offset : offset + 16]) for offset in range(6, len(body), 16)]
    usable = not any(server.is_multicast or server.is_unspecified for server in servers)
    _expect(usable, "a DNS server's address is not unicast")  # RFC 8106, 5.3.1
    until = options.deadline(*_LIFETIME.unpack_from(body))
    options.dns_servers.extend((server, until) for server in servers)


def _decode_search_domains(options: _Options, body: bytes) -> None:
    _expect(len(body) >= 14, "a DNS search list is too short")
    domains = decode_names(body[6:])
    until = options.deadline(*_LIFETIME.unpack_from(body))
    options.search_domains.extend((domain, until) for domain in domains)


_DECODERS: dict[int, Callable[[_Options, bytes], None]] = {
    PREFIX_INFORMATION: _decode_prefix_information,
    MTU: _decode_mtu,
    ROUTE_INFORMATION: _decode_route_information,
    RECURSIVE_DNS_SERVERS: _decode_dns_servers,
    DNS_SEARCH_LIST: _decode_search_domains,
}


# ---------------------------------------------------------------- encoded


def encode_router_advertisement(advertisement: RouterAdvertisement, now: float = 0.0) -> bytes:
    """Encode a router advertisement: what :func:`parse_router_advertisement` makes of it is equal to what went in.

    Every lifetime on the wire is the deadline less `now`, in whole seconds, none below zero. With the default `now`
    the fields called "until" are therefore plain lifetimes in seconds: a router writes
    ``RouterHeader(until=1800)``. `index` and `router` are not on the wire. The kernel fills in the checksum.

    Raises:
        ValueError: the header is missing, a domain name is none, or a number does not fit its field.
    """
    header = advertisement.header
    if header is None:
        raise ValueError("a router advertisement has a header")
    lifetime = _lifetime(header.until, now)
    flags = header.managed << 7 | header.other_configuration << 6 | _PREFERENCE_BITS[header.preference]
    return _pack(_HEADER, ROUTER_ADVERTISEMENT, 0, 0, header.hop_limit, flags, lifetime, 0, 0) + encode_options(
        advertisement, now
    )


def encode_options(advertisement: RouterAdvertisement, now: float = 0.0) -> bytes:
    """Encode only the options; see :func:`encode_router_advertisement`."""
    octets = b"" if advertisement.mtu is None else _option(MTU, _pack(_LIFETIME, advertisement.mtu))
    octets += b"".join(_encode_prefix(prefix, now) for prefix in advertisement.prefixes)
    octets += b"".join(_encode_route(route, now) for route in advertisement.routes)
    for until, servers in _by_deadline(advertisement.dns_servers):
        packed = b"".join(server.packed for server in servers)
        octets += _option(RECURSIVE_DNS_SERVERS, _LIFETIME.pack(_lifetime(until, now)) + packed)
    for until, domains in _by_deadline(advertisement.search_domains):
        names = b"".join(encode_name(domain) for domain in domains)
        octets += _option(DNS_SEARCH_LIST, _LIFETIME.pack(_lifetime(until, now)) + names)
    return octets


def _encode_prefix(prefix: AdvertisedPrefix, now: float) -> bytes:
    flags = prefix.on_link << 7 | prefix.autonomous << 6
    valid, preferred = _lifetime(prefix.valid_until, now), _lifetime(prefix.preferred_until, now)
    packed = prefix.prefix.network_address.packed
    return _option(
        PREFIX_INFORMATION, _PREFIX_INFORMATION.pack(prefix.prefix.prefixlen, flags, valid, preferred, 0, packed)
    )


def _encode_route(route: AdvertisedRoute, now: float) -> bytes:
    length = route.prefix.prefixlen
    packed = route.prefix.network_address.packed[: 8 * math.ceil(length / 64)]
    head = _ROUTE_INFORMATION.pack(length, _PREFERENCE_BITS[route.preference], _lifetime(route.until, now))
    return _option(ROUTE_INFORMATION, head + packed)


def _by_deadline(items: Iterable[tuple[T, float]]) -> Iterator[tuple[float, list[T]]]:
    """Neighbours that share a deadline share an option."""
    for until, group in groupby(items, key=itemgetter(1)):
        yield until, [item for item, _until in group]


def _lifetime(until: float, now: float) -> int:
    return INFINITE if until == math.inf else max(0, min(round(until - now), INFINITE - 1))


def _option(kind: int, body: bytes) -> bytes:
    length = math.ceil((2 + len(body)) / 8)
    if length > 255:
        raise ValueError(f"an option of {2 + len(body)} octets is too long: spread its items over several lifetimes")
    return bytes([kind, length]) + body.ljust(8 * length - 2, b"\0")


def _pack(layout: struct.Struct, *values: Any) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise ValueError(f"a field of the router advertisement has no room for its value: {error}") from None
