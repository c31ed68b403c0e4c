"""The options of router advertisements, encoded: the way back from `neighbour_discovery_options`, exactly.

What shares a deadline shares an option, as long as there is room. Options that were kept as they came follow at the
end, so that a second PvD option is not the first one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Network
from itertools import groupby
from operator import itemgetter

from trimif._facts import AdvertisedDomain, AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement
from trimif._wire import neighbour_discovery_options as codes
from trimif._wire.domain_names import encode_name
from trimif._wire.encrypted_dns import encode_encrypted_dns
from trimif._wire.neighbour_discovery_domains import encode_domain_head
from trimif._wire.neighbour_discovery_fields import OPTION_OCTETS, PREFERENCE_BITS, frame, lifetime, pack
from trimif._wire.neighbour_discovery_header import encode_header

__all__ = ["encode_options"]

SCALED_LIFETIME = 8 * 8191  # seconds (RFC 8781, 4)


def encode_options(advertisement: RouterAdvertisement, now: float = 0.0) -> bytes:
    """Encode only the options; see :func:`~trimif._wire.neighbour_discovery.encode_router_advertisement`."""
    return b"".join(_encode(advertisement, now))


def _encode(said: RouterAdvertisement, now: float) -> Iterator[bytes]:
    if said.mtu is not None:
        yield frame(codes.MTU, pack(codes.LIFETIME_LAYOUT, said.mtu))
    yield from (_encode_prefix(prefix, now) for prefix in said.prefixes)
    yield from (_encode_route(route, now) for route in said.routes)
    servers = ((server.packed, until) for server, until in said.dns_servers)
    yield from _encode_list(codes.RECURSIVE_DNS_SERVERS, servers, now)
    domains = ((encode_name(domain), until) for domain, until in said.search_domains)
    yield from _encode_list(codes.DNS_SEARCH_LIST, domains, now)
    if said.captive_portal is not None:
        yield frame(codes.CAPTIVE_PORTAL, said.captive_portal.encode("ascii"))
    yield from (_encode_pref64(prefix, lifetime(until, now)) for prefix, until in said.pref64)
    for server, until in said.encrypted_dns:
        yield frame(codes.ENCRYPTED_DNS, encode_encrypted_dns(server, lifetime(until, now)))
    if said.domain is not None:
        yield _encode_domain(said.domain, now)
    yield from (frame(option.code, option.octets) for option in said.raw_options)


def _encode_prefix(prefix: AdvertisedPrefix, now: float) -> bytes:
    flags = prefix.on_link * codes.ON_LINK | prefix.autonomous * codes.AUTONOMOUS
    flags |= prefix.router_address * codes.ROUTER_ADDRESS
    valid, preferred = lifetime(prefix.valid_until, now), lifetime(prefix.preferred_until, now)
    packed = prefix.prefix.network_address.packed
    content = codes.PREFIX_LAYOUT.pack(prefix.prefix.prefixlen, flags, valid, preferred, 0, packed)
    return frame(codes.PREFIX_INFORMATION, content)


def _encode_route(route: AdvertisedRoute, now: float) -> bytes:
    length = route.prefix.prefixlen
    packed = route.prefix.network_address.packed[: 8 * math.ceil(length / 64)]
    head = codes.ROUTE_LAYOUT.pack(length, PREFERENCE_BITS[route.preference], lifetime(route.until, now))
    return frame(codes.ROUTE_INFORMATION, head + packed)


def _encode_list(kind: int, items: Iterable[tuple[bytes, float]], now: float) -> Iterator[bytes]:
    """Options that are a lifetime and then a list."""
    for until, group in groupby(items, key=itemgetter(1)):
        head = codes.LIFETIME_LAYOUT.pack(lifetime(until, now))
        content = head
        for octets, _until in group:
            if len(content) + len(octets) > OPTION_OCTETS:
                yield frame(kind, content)
                content = head
            content += octets
        yield frame(kind, content)


def _encode_pref64(prefix: IPv6Network, seconds: int) -> bytes:
    if prefix.prefixlen not in codes.PREF64_BITS or seconds > SCALED_LIFETIME:
        raise ValueError(f"a router advertisement can't say that {prefix} is the prefix of a NAT64 for {seconds} s")
    scaled = 8 * math.ceil(seconds / 8) | codes.PREF64_BITS.index(prefix.prefixlen)
    return frame(codes.PREF64, codes.PREF64_LAYOUT.pack(scaled, prefix.network_address.packed[:12]))


def _encode_domain(domain: AdvertisedDomain, now: float) -> bytes:
    content = domain.content
    if content.domain is not None:
        raise ValueError(f"the PvD option of {domain.option.identifier} would be inside another: there can be only one")
    header = b"" if content.header is None else encode_header(content.header, now)
    head = encode_domain_head(domain.option, header=content.header is not None)
    return frame(codes.PROVISIONING_DOMAIN, head + header + encode_options(content, now))
