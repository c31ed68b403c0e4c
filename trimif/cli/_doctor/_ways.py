"""The kernel's answers to "which way would a packet of this domain go?", which no table tells as surely.

Rules, tables and metrics come into it, and the reverse path filter asks in the same way. RTM_GETROUTE applies them
all, and sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

import trio

from trimif import DomainSnapshot, Information, IPAddress
from trimif._connect._route import find_route
from trimif.cli._doctor._picture import HostRoute, NextHop, Way, told

__all__ = ["find_default_ways", "find_server_ways", "somewhere"]

SPECIFIC = 8
"""VPNs cover the default route with two or four routes as wide as half the Internet, so that theirs are longer."""
ANYWHERE: dict[int, tuple[IPAddress, ...]] = {
    4: tuple(map(ip_address, ("203.0.113.1", "192.0.2.1", "198.51.100.1", "192.88.99.1", "1.1.1.1"))),
    6: tuple(map(ip_address, ("2001:db8:ffff::1", "2001:db8::1", "3fff::1", "2000::1"))),
}
"""Addresses to ask for when any one will do."""

Indexes = Mapping[int, str]
"""The names of the host's interfaces by the kernel's numbers."""


def somewhere(version: int, routes: Iterable[HostRoute]) -> IPAddress | None:
    """An address that only default routes lead to, None if there are routes to all we know.

    Args:
        version: 4 or 6.
    """
    special = [each.destination for each in routes if each.destination.prefixlen >= SPECIFIC]
    return next((each for each in ANYWHERE[version] if not any(each in network for network in special)), None)


async def find_default_ways(
    domain: DomainSnapshot, index: int, names: Indexes, routes: Sequence[HostRoute]
) -> list[Way]:
    """To somewhere on the Internet, from the first address of each family."""
    await trio.lowlevel.checkpoint()
    ways = []
    for source in {each.address.version: each.address for each in reversed(domain.addresses)}.values():
        destination = somewhere(source.version, routes)
        if destination is not None and not source.is_link_local:
            bound = await _next_hop(index, source, destination, names)
            unbound = await _next_hop(0, source, destination, names)
            ways.append(Way(domain.announcement.domain, source, destination, bound, unbound))
    return ways


async def find_server_ways(domain: DomainSnapshot, index: int, names: Indexes) -> list[Way]:
    """To each name server, from the first address that has a way to it."""
    await trio.lowlevel.checkpoint()
    ways = []
    for server in told(domain, Information.DNS_SERVERS):
        sources: list[IPAddress | None] = [
            each.address for each in domain.addresses if each.address.version == server.version
        ]
        source, bound = sources[0] if sources else None, None
        for candidate in [None] if server.is_link_local else sources:
            bound = None if server.is_loopback else await _next_hop(index, candidate, server, names)
            if bound is not None:
                source = candidate
                break
        ways.append(Way(domain.announcement.domain, source, server, bound))
    return ways


async def _next_hop(index: int, source: IPAddress | None, destination: IPAddress, names: Indexes) -> NextHop | None:
    answer = await find_route(index, source, destination)
    if answer is None:
        return None
    return NextHop(names.get(answer.index, f"interface {answer.index}"), answer.gateway)
