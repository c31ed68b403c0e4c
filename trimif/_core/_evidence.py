"""What the tables mean for one interface at one moment: the contributions out of which domains are formed.

A contribution is what one origin said: one router of one provisioning domain, one lease, the addresses of one family
that were set by hand. Grouping (`_grouping`) decides which of them make a domain; `_elements` then puts those of one
type together, which is the draft's configuration element.

DESIGN: a PD exists while it has an element: RA while any of its lifetimes runs, DHCPv4 and DHCPv6 while the lease is
valid and its address present, STATIC for what no other element claims. Every deadline that is looked at is noted, so
that the core knows when to look again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from trimif._core._host import HeldAddress, Host
from trimif._facts import AddressFact
from trimif._information import Datum, Information, PvdOption
from trimif._model import ElementType, Family, InterfaceKind, IPAddress, IPNetwork, Origin, Value

__all__ = [
    "Clock",
    "Contribution",
    "Datums",
    "Evidence",
    "Scene",
    "claims_of",
    "datums",
    "family_of",
    "frozen_data",
    "network_of",
    "of_family",
    "put_in",
]

NETWORKS = 4096
"""How many networks are remembered."""
DEFAULT: dict[Family, IPNetwork] = {Family.IPV4: IPv4Network("0.0.0.0/0"), Family.IPV6: IPv6Network("::/0")}

Datums: TypeAlias = Mapping[Information[Any], tuple[Datum[Any], ...]]
"""Data by identifier, item by item; identifiers about which nothing is said are absent."""


@frozen(repr=False, eq=False)
class Contribution(Value):
    """What one origin said about an interface: what domains are made of.

    Attributes:
        type: of the configuration element that it is a part of.
        family: of the addresses that it is about.
        data: by identifier; one `Datum` for each item of data that is a tuple, else one.
        claims: the addresses on the interface that came from it.
        router: the link-local address of the router, for RA; None where it is not known.
        option: the explicit provisioning domain that the router speaks for (RFC 8801), None for the implicit one.
        managed: the router's M flag: addresses come by DHCPv6; None if that is not known.
        other_configuration: its O flag: other configuration comes by DHCPv6; None if that is not known.
    """

    type: ElementType
    family: Family
    origin: Origin
    data: Datums = field(factory=dict, hash=False)
    claims: frozenset[IPAddress] = frozenset()
    router: IPv6Address | None = None
    option: PvdOption | None = None
    managed: bool | None = None
    other_configuration: bool | None = None

    def values(self, information: Information[Any]) -> tuple[Any, ...]:
        """The items that it says of something, without where they came from."""
        return tuple(datum.value for datum in self.data.get(information, ()))


@frozen(repr=False, eq=False)
class Evidence(Value):
    """All that is known of one interface, for a grouping to form domains of.

    Attributes:
        interface: its name.
        contributions: RA first, then DHCPv6, DHCPv4 and STATIC; of routers, the preferred one first.
    """

    interface: str
    kind: InterfaceKind
    contributions: tuple[Contribution, ...] = ()


class Clock:
    """The moment of looking, and the next deadline that was looked at."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.until = math.inf

    def running(self, deadline: float) -> bool:
        """Whether a deadline lies in the future; if so it is noted."""
        if deadline <= self.now:
            return False
        if deadline < self.until:
            self.until = deadline
        return True


@frozen
class Scene:
    """What the finders of contributions look at: the tables, one interface, its usable addresses, the time."""

    host: Host
    index: int
    held: tuple[HeldAddress, ...]
    clock: Clock

    @property
    def name(self) -> str:
        """The interface's name."""
        return self.host.links[self.index].name

    @property
    def usable(self) -> list[AddressFact]:
        """The addresses as the kernel has them."""
        return [each.fact for each in self.held]


# ---------------------------------------------------------------- small things


def family_of(thing: IPAddress | IPNetwork) -> Family:
    """The address family of an address or network."""
    return Family.IPV4 if isinstance(thing, IPv4Address | IPv4Network) else Family.IPV6


def network_of(fact: AddressFact) -> IPNetwork:
    """The network of an address, by its prefix length."""
    host_bits = fact.address.max_prefixlen - fact.prefix_length
    return _network(fact.address.version, int(fact.address) >> host_bits, fact.prefix_length)


@lru_cache(NETWORKS)
def _network(version: int, bits: int, prefix_length: int) -> IPNetwork:
    """Remembered: many addresses share one network, and making one is slow."""
    if version == 4:
        return IPv4Network((bits << 32 - prefix_length, prefix_length))
    return IPv6Network((bits << 128 - prefix_length, prefix_length))


def of_family(items: Iterable[Any], family: Family) -> tuple[Any, ...]:
    """Addresses and networks of one family, and all that has none, such as names."""
    kinds = IPv4Address | IPv4Network | IPv6Address | IPv6Network
    return tuple(item for item in items if not isinstance(item, kinds) or family_of(item) is family)


def claims_of(contributions: Sequence[Contribution]) -> frozenset[IPAddress]:
    """The addresses that any of them claims."""
    if len(contributions) == 1:  # the usual case, and sets of addresses are slow
        return contributions[0].claims
    return frozenset[IPAddress]().union(*(each.claims for each in contributions))


def datums(values: Iterable[Any], origin: Origin, received: float, until: float) -> list[Datum[Any]]:
    """Items that came together."""
    return [Datum(value, origin, received, until) for value in values]


def put_in(
    data: dict[Information[Any], list[Datum[Any]]], told: Iterable[tuple[Information[Any], Any]], like: Datum[None]
) -> None:
    """Add told data, as they came and for as long as `like`."""
    for information, value in told:
        values = value if isinstance(value, tuple) else (value,)
        data.setdefault(information, []).extend(evolve(like, value=each) for each in values)


def frozen_data(data: Mapping[Information[Any], Iterable[Datum[Any]]]) -> Datums:
    """Without the identifiers about which nothing is said."""
    made = {information: tuple(items) for information, items in data.items()}
    return {information: items for information, items in made.items() if items}
