"""Facts: what sources report about the host, and the only thing that goes into the core besides requests and `now`.

A fact is a frozen value without live objects. Every time in it is a deadline in seconds on the program's clock
(:func:`trio.current_time`), ``math.inf`` for ever; sources convert.
"""

from __future__ import annotations

import enum
import math
from typing import TypeAlias

from attrs import field, frozen

from trimif._facts_of_clients import (
    AllLeases,
    AllLinkConfigurations,
    DHCPv6Lease,
    Lease,
    LeasedAddress,
    LinkConfiguration,
    StaticConfiguration,
)
from trimif._facts_of_routers import (
    AdditionalInformation,
    AdvertisedDomain,
    AdvertisedPrefix,
    AdvertisedRoute,
    PortalStatus,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._model import InterfaceKind, IPAddress, IPNetwork, Value

__all__ = [
    "AdditionalInformation",
    "AddressFact",
    "AddressGone",
    "AddressProtocol",
    "AdvertisedDomain",
    "AdvertisedPrefix",
    "AdvertisedRoute",
    "AllAddresses",
    "AllLeases",
    "AllLinkConfigurations",
    "AllLinks",
    "AllRoutes",
    "DHCPv6Lease",
    "Fact",
    "Lease",
    "LeasedAddress",
    "Limitation",
    "LinkConfiguration",
    "LinkFact",
    "LinkGone",
    "PortalStatus",
    "RouteFact",
    "RouteGone",
    "RouteProtocol",
    "RouterAdvertisement",
    "RouterHeader",
    "StaticConfiguration",
]


class AddressProtocol(enum.IntEnum):
    """Who set an address: the kernel's IFA_PROTO."""

    UNSPECIFIED = 0
    LOOPBACK = 1
    ROUTER_ADVERTISEMENT = 2
    LINK_LOCAL = 3


class RouteProtocol(enum.IntEnum):
    """Who set a route: the kernel's rtm_protocol; numbers that are not listed are kept as ints."""

    UNSPECIFIED = 0
    REDIRECT = 1
    KERNEL = 2
    BOOT = 3
    STATIC = 4
    ROUTER_ADVERTISEMENT = 9
    DHCP = 16


# ---------------------------------------------------------------- the kernel's tables


@frozen(repr=False)
class LinkFact(Value):
    """A network interface exists, and is this (RTM_NEWLINK).

    Attributes:
        index: the kernel's interface index.
        mtu: in octets.
        up: administratively up (IFF_UP).
        carrier: IFF_LOWER_UP.
    """

    index: int
    name: str
    kind: InterfaceKind
    mtu: int
    up: bool
    carrier: bool


@frozen(repr=False, eq=False)
class LinkGone(Value):
    """A network interface is gone (RTM_DELLINK). Its addresses and routes are gone with it."""

    index: int


@frozen(repr=False)
class AddressFact(Value):
    """An address is on an interface (RTM_NEWADDR).

    Attributes:
        prefix_length: in bits.
        valid_until: when the kernel removes it.
        preferred_until: after this it is deprecated; a deprecated address has a deadline that has passed.
        tentative: duplicate address detection runs (and it is not optimistic), or has failed: not usable.
        temporary: a privacy address (RFC 8981).
        protocol: who set it.
    """

    index: int
    address: IPAddress
    prefix_length: int
    valid_until: float = math.inf
    preferred_until: float = math.inf
    tentative: bool = False
    temporary: bool = False
    protocol: AddressProtocol = AddressProtocol.UNSPECIFIED


@frozen(repr=False, eq=False)
class AddressGone(Value):
    """An address was removed (RTM_DELADDR)."""

    index: int
    address: IPAddress
    prefix_length: int


@frozen(repr=False)
class RouteFact(Value):
    """A unicast route leads out of an interface (RTM_NEWROUTE); each next hop of a multipath route is one.

    Attributes:
        table: the kernel's routing table number, 254 the main one.
        metric: smaller is preferred.
        protocol: a `RouteProtocol`, or another number of the kernel's.
        expires: the deadline of routes that router advertisements set. It does not identify the route.
    """

    index: int
    destination: IPNetwork
    gateway: IPAddress | None = None
    metric: int = 0
    table: int = 254
    protocol: int = field(default=RouteProtocol.UNSPECIFIED)
    expires: float = field(default=math.inf, eq=False)


@frozen(repr=False, eq=False)
class RouteGone(Value):
    """A route was removed (RTM_DELROUTE): the one that is equal to ``route``, its ``expires`` apart."""

    route: RouteFact


@frozen(repr=False, eq=False)
class AllLinks(Value):
    """All links that there are, as dumped: those not listed are gone."""

    links: tuple[LinkFact, ...]


@frozen(repr=False, eq=False)
class AllAddresses(Value):
    """All addresses that there are, as dumped: those not listed are gone."""

    addresses: tuple[AddressFact, ...]


@frozen(repr=False, eq=False)
class AllRoutes(Value):
    """All unicast routes that there are, as dumped: those not listed are gone."""

    routes: tuple[RouteFact, ...]


@frozen(repr=False, eq=False)
class Limitation(Value):
    """Something that a source cannot see on this host, said once.

    Attributes:
        source: who can't.
        missing: what can't be seen, and why.
        remedy: what a person can do about it.
    """

    source: str
    missing: str
    remedy: str


Fact: TypeAlias = (
    LinkFact
    | LinkGone
    | AllLinks
    | AddressFact
    | AddressGone
    | AllAddresses
    | RouteFact
    | RouteGone
    | AllRoutes
    | RouterAdvertisement
    | AllLeases
    | AllLinkConfigurations
    | AdditionalInformation
    | PortalStatus
    | StaticConfiguration
    | Limitation
)
"""Everything that a source can report."""
