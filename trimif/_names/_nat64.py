"""IPv4 addresses as a NAT64 shows them: embedded in IPv6 addresses below its prefixes (RFC 6052), no I/O.

A network without IPv4 tells its prefixes in router advertisements (PREF64, RFC 8781), or its DNS64 betrays them by
what it answers for ``ipv4only.arpa`` (RFC 7050). With them a host makes the addresses of IPv4-only peers itself, where
a resolver that is not the network's gives only A records, and for IPv4 literals; and it sees through those that the
DNS64 made (Happy Eyeballs v3: an AAAA inside the prefix is turned back into IPv4 before addresses are sorted).

The four octets of the IPv4 address follow the prefix; octet 8 (bits 64 to 71, "u") is left out, and zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from trimif._model import IPAddress

WELL_KNOWN_PREFIX = IPv6Network("64:ff9b::/96")

IPV4_ONLY_NAME = "ipv4only.arpa."
_IPV4_ONLY = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))  # its only addresses (RFC 7050, 8)

_U_OCTET = 8
# RFC 6052, 2.2, figure 1: the places of the IPv4 address's octets, by prefix length
_PLACES = {
    32: (4, 5, 6, 7),
    40: (5, 6, 7, 9),
    48: (6, 7, 9, 10),
    56: (7, 9, 10, 11),
    64: (9, 10, 11, 12),
    96: (12, 13, 14, 15),
}

# Where a prefix may lie. Elsewhere are loopback, IPv4-mapped and multicast addresses: no translator is there.
_UNICAST = tuple(map(IPv6Network, ("2000::/3", "fc00::/7", "64:ff9b::/96", "64:ff9b:1::/48")))
# Addresses that mean something on the host or its link only, or nothing at all (RFC 6890).
_NOT_BEYOND_THE_LINK = tuple(
    map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4"))
)


def embed(prefix: IPv6Network, address: IPv4Address) -> IPv6Address:
    """The address under which a NAT64 with that prefix shows an IPv4 address (RFC 6052, 2.3).

    Raises:
        ValueError: a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits.
    """
    octets = bytearray(prefix.network_address.packed)
    for place, octet in zip(_places(prefix), address.packed, strict=True):
        octets[place] = octet
    return IPv6Address(bytes(octets))


def extract(prefix: IPv6Network, address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address embedded in an address below the prefix; None if there is none (RFC 6052, 2.3).

    What follows the IPv4 address is reserved, and not looked at (RFC 6052, 2.2).

    Raises:
        ValueError: a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits.
    """
    places = _places(prefix)
    octets = address.packed
    if address not in prefix or (octets[_U_OCTET] and prefix.prefixlen <= 64):
        return None
    return IPv4Address(bytes(octets[place] for place in places))


def _places(prefix: IPv6Network) -> tuple[int, ...]:
    places = _PLACES.get(prefix.prefixlen)
    if places is None:
        raise ValueError(f"a NAT64 prefix has {', '.join(map(str, _PLACES))} bits, not {prefix.prefixlen}: {prefix}")
    return places


def prefixes_from_answers(addresses: Iterable[IPv6Address]) -> tuple[IPv6Network, ...]:
    """The prefixes of the network's NAT64, told by the AAAA records of ``ipv4only.arpa`` (RFC 7050, 3).

    In the order of the answers, each once. An address that can be read in two ways is passed over: the same prefix is
    in another one, with the other of the two well-known IPv4 addresses, which can't be. So is what can't be a prefix of
    a NAT64.
    """
    readings = (_readings(address) for address in addresses)
    return _usable(found[0] for found in readings if len(found) == 1)


def _readings(address: IPv6Address) -> list[IPv6Network]:
    prefixes = [IPv6Network((int(address), length), strict=False) for length in _PLACES]
    return [prefix for prefix in prefixes if extract(prefix, address) in _IPV4_ONLY]


def choose_prefixes(
    advertised: Iterable[IPv6Network], discovered: Iterable[IPv6Network] = ()
) -> tuple[IPv6Network, ...]:
    """The prefixes to use, best first: those of router advertisements, else those found in the DNS.

    Where both tell prefixes, one source is taken and not a mixture (RFC 8781, 5.1). Prefixes that no NAT64 can have are
    left out.
    """
    return _usable(advertised) or _usable(discovered)


def _usable(prefixes: Iterable[IPv6Network]) -> tuple[IPv6Network, ...]:
    return tuple(
        dict.fromkeys(
            prefix
            for prefix in prefixes
            if prefix.prefixlen in _PLACES and any(prefix.subnet_of(unicast) for unicast in _UNICAST)
        )
    )


def may_embed(prefix: IPv6Network, address: IPv4Address) -> bool:
    """Does the address, embedded below that prefix, lead to whom it means?

    Never for addresses of the host and its link. Below the well-known prefix only for global ones (RFC 6052, 3.1: "MUST
    NOT be used to represent non-global IPv4 addresses", and translators drop such packets); what a private address
    means is known to the network's own prefix.
    """
    if any(address in network for network in _NOT_BEYOND_THE_LINK):
        return False
    return address.is_global or prefix != WELL_KNOWN_PREFIX


def synthesise(prefixes: Sequence[IPv6Network], addresses: Iterable[IPAddress]) -> tuple[IPv6Address, ...]:
    """The IPv6 addresses under which IPv4 addresses are reached, each once.

    First all of them below the best prefix, then below the next (RFC 7050, 3).

    Args:
        prefixes: best first, as :func:`choose_prefixes` gives them.
        addresses: IPv6 ones need no translator, and are left out.
    """
    ipv4 = [address for address in addresses if isinstance(address, IPv4Address)]
    return tuple(
        dict.fromkeys(embed(prefix, address) for prefix in prefixes for address in ipv4 if may_embed(prefix, address))
    )


def as_ipv4(prefixes: Iterable[IPv6Network], address: IPv6Address) -> IPv4Address | None:
    """Turn an address that a DNS64 made back into the IPv4 address that it stands for; None if it is no such one.

    Exactly those that :func:`synthesise` would make: no host's own address in the same prefix is taken for one. Where
    prefixes lie in each other, the longest counts.
    """
    for prefix in sorted(prefixes, key=lambda each: -each.prefixlen):
        embedded = extract(prefix, address)
        if embedded is not None and may_embed(prefix, embedded) and int(embed(prefix, embedded)) == int(address):
            return embedded
    return None
