"""Destination address selection (RFC 6724, section 6): which of a name's addresses to try first, inside one domain.

The rules compare two destinations, each with the source address that the domain would take for it. As in source
selection each rule turns into one member of a sort key, so the order is total, and what the rules leave equal keeps the
order of the name servers (rule 10). Rule 4 (home addresses) has no meaning without Mobile IPv6, and rule 7 (native
transport) decides nothing among destinations that are all reached through one interface.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TypeAlias

from trimif._connect._selection import (
    common_prefix_length,
    known_local_prefixes,
    order_sources,
    policy_of,
    scope_of,
)
from trimif._model import DomainView, IPAddress, SourceAddress

# Every interface with IPv6 has such an address (RFC 4291, 2.8), but no domain counts it among its own.
_LINK_LOCAL = SourceAddress(IPv6Address("fe80::"), 64)

Preference: TypeAlias = tuple[bool] | tuple[bool, bool, bool, bool, int, int, int]


def order_destinations(view: DomainView, addresses: Iterable[IPAddress]) -> list[IPAddress]:
    """The addresses in the order in which they should be tried from the domain, those it can't reach last.

    Nothing is asked of the kernel: an address counts as within reach if the domain has a source address for it.
    """
    known_local = known_local_prefixes(source.address for source in view.addresses)
    return sorted(addresses, key=lambda address: _preference(view, address, known_local))


def _preference(view: DomainView, destination: IPAddress, known_local: frozenset[IPv6Network]) -> Preference:
    """A sort key, smaller is better: one member for each rule, in their order."""
    source = _source_for(view, destination)
    if source is None:
        return (True,)  # 1: avoid unusable destinations; there is nothing to compare them by
    policy = policy_of(destination, known_local)
    return (
        False,
        scope_of(source.address) != scope_of(destination),  # 2: prefer the matching scope
        source.deprecated,  # 3: avoid deprecated source addresses
        policy_of(source.address, known_local).label != policy.label,  # 5: prefer the matching label
        -policy.precedence,  # 6: prefer the higher precedence
        scope_of(destination),  # 8: prefer the smaller scope
        -_matching_prefix(source, destination),  # 9: the longest matching prefix; precedence has parted the families
    )


def _source_for(view: DomainView, destination: IPAddress) -> SourceAddress | None:
    if not _is_peer(view, destination):
        return None
    sources = order_sources(view.addresses, destination)
    if _is_link_local(destination) and not any(_is_link_local(source.address) for source in sources):
        return _LINK_LOCAL
    return sources[0] if sources else None


def _is_link_local(address: IPAddress) -> bool:
    return isinstance(address, IPv6Address) and address.is_link_local


def _is_peer(view: DomainView, destination: IPAddress) -> bool:
    """Could the domain lead there at all? Loopback addresses are reached through the loopback interface only."""
    if destination.is_unspecified or (isinstance(destination, IPv6Address) and destination.ipv4_mapped is not None):
        return False
    if view.loopback:
        return destination.is_loopback or any(int(own.address) == int(destination) for own in view.addresses)
    return not destination.is_loopback


def _matching_prefix(source: SourceAddress, destination: IPAddress) -> int:
    """How many bits source and destination share, up to the length of the source's prefix (RFC 6724, 2.2).

    Of IPv4 only whether the destination is on the link: beyond it, numbers tell nothing of distance, behind a NAT least
    of all, and would undo the order by which name servers spread the load. Rule 10 lets an implementation do so, and
    the C library of GNU does.
    """
    shared = min(common_prefix_length(source.address, destination), source.prefix_length)
    return 0 if isinstance(destination, IPv4Address) and shared < source.prefix_length else shared
