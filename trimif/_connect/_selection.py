"""Source address selection (RFC 6724, section 5), among the addresses of one provisioning domain.

All addresses of a domain are on one interface, so rule 5 (outgoing interface) decides nothing here; rule 4 (home
addresses) has no meaning on Linux hosts without Mobile IPv6, and rule 5.5 (prefix advertised by the next hop) is
kept by the domain itself: its addresses and its routers belong together. What is left are rules 1, 2, 3, 6, 7
and 8. Each turns into one member of a sort key, so the order is total and equal candidates keep the domain's order.

The policy table is that of RFC 6724 with its 2025/26 update (draft-ietf-6man-rfc6724-update): unique local addresses
rank above IPv4, and those of the host's own /48 ("known-local") above everything but loopback.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from attrs import frozen

from trimif._model import IPAddress, SourceAddress

SCOPE_LINK_LOCAL = 0x2
SCOPE_SITE_LOCAL = 0x5
SCOPE_GLOBAL = 0xE

_UNIQUE_LOCAL = IPv6Network("fc00::/7")
_SITE_LOCAL = IPv6Network("fec0::/10")
_KNOWN_LOCAL_LENGTH = 48  # RFC 4193, 3.1: a site's prefix is a /48


@frozen
class AddressPolicy:
    """A row of the policy table (RFC 6724, 2.1), without its prefix."""

    precedence: int
    label: int


# Longest prefix first: the first that matches is the longest that matches.
_POLICY_TABLE = tuple(
    sorted(
        (
            (IPv6Network("::1/128"), AddressPolicy(50, 0)),
            (IPv6Network("::/0"), AddressPolicy(40, 1)),
            (IPv6Network("::ffff:0:0/96"), AddressPolicy(20, 4)),
            (IPv6Network("2002::/16"), AddressPolicy(5, 2)),
            (IPv6Network("2001::/32"), AddressPolicy(5, 5)),
            (_UNIQUE_LOCAL, AddressPolicy(30, 13)),
            (IPv6Network("::/96"), AddressPolicy(1, 3)),
            (_SITE_LOCAL, AddressPolicy(1, 11)),
            (IPv6Network("3ffe::/16"), AddressPolicy(1, 12)),
        ),
        key=lambda row: -row[0].prefixlen,
    )
)
_KNOWN_LOCAL = AddressPolicy(45, 14)


def order_sources(sources: Iterable[SourceAddress], destination: IPAddress) -> tuple[SourceAddress, ...]:
    """The candidate source addresses for a destination, the preferred one first (RFC 6724, section 5).

    Args:
        sources: the usable addresses of a domain, of any family, in its order.

    Returns:
        All those of the destination's family; nothing where there are none.
    """
    candidates = [source for source in sources if source.address.version == destination.version]
    known_local = known_local_prefixes(source.address for source in candidates)
    return tuple(sorted(candidates, key=lambda source: _preference(source, destination, known_local)))


def _preference(
    source: SourceAddress, destination: IPAddress, known_local: frozenset[IPv6Network]
) -> tuple[bool, tuple[bool, int], bool, bool, bool, int]:
    """A sort key, smaller is better: one member for each rule, in their order."""
    label = policy_of(destination, known_local).label
    return (
        int(source.address) != int(destination),  # 1: prefer the same address; a scope id doesn't make it another
        _scope_preference(scope_of(source.address), scope_of(destination)),  # 2: prefer the appropriate scope
        source.deprecated,  # 3: avoid deprecated addresses
        policy_of(source.address, known_local).label != label,  # 6: prefer the matching label
        not source.temporary,  # 7: prefer temporary addresses
        -min(common_prefix_length(source.address, destination), source.prefix_length),  # 8: the longest prefix
    )


def _scope_preference(source: int, destination: int) -> tuple[bool, int]:
    """Rule 2 as a key: the smallest scope that reaches the destination, then the largest that does not."""
    too_small = source < destination
    return too_small, -source if too_small else source


def scope_of(address: IPAddress) -> int:
    """The scope of an address (RFC 6724, 3.1 and 3.2); greater is wider."""
    if isinstance(address, IPv6Address) and address.is_multicast:
        return address.packed[1] & 0x0F
    if address.is_link_local or address.is_loopback:
        return SCOPE_LINK_LOCAL
    if isinstance(address, IPv6Address) and address in _SITE_LOCAL:
        return SCOPE_SITE_LOCAL
    return SCOPE_GLOBAL  # private IPv4 and unique local IPv6 addresses included


def policy_of(address: IPAddress, known_local: frozenset[IPv6Network] = frozenset()) -> AddressPolicy:
    """Look an address up in the policy table (RFC 6724, 2.1, as updated).

    Args:
        known_local: the /48 prefixes of the host's own unique local addresses.
    """
    key = _as_ipv6(address)
    if key in _UNIQUE_LOCAL and IPv6Network((int(key), _KNOWN_LOCAL_LENGTH), strict=False) in known_local:
        return _KNOWN_LOCAL
    return next(policy for prefix, policy in _POLICY_TABLE if key in prefix)


def known_local_prefixes(addresses: Iterable[IPAddress]) -> frozenset[IPv6Network]:
    """The /48 prefixes of the unique local addresses among these: the site's own."""
    return frozenset(
        IPv6Network((int(address), _KNOWN_LOCAL_LENGTH), strict=False)
        for address in addresses
        if isinstance(address, IPv6Address) and address in _UNIQUE_LOCAL
    )


def common_prefix_length(one: IPAddress, other: IPAddress) -> int:
    """How many leading bits two addresses of one family share (RFC 6724, 2.2)."""
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


def _as_ipv6(address: IPAddress) -> IPv6Address:
    """RFC 6724, 3.2: IPv4 addresses are looked up as IPv4-mapped ones."""
    return IPv6Address(0xFFFF_0000_0000 | int(address)) if isinstance(address, IPv4Address) else address
