"""Facts: what sources report about the host, and the only thing that goes into the core besides requests and `now`.

A fact is a frozen value without live objects. Every time in it is a deadline in seconds on the program's clock
(:func:`trio.current_time`), ``math.inf`` for ever; sources convert.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TypeAlias

from attrs import field, frozen
from attrs.validators import instance_of

from trimif._model import InterfaceKind, IPAddress, IPNetwork, Origin, Route, Value
from trimif._validation import to_address

__all__ = [
    "AddressFact",
    "AddressGone",
    "AddressProtocol",
    "AdvertisedPrefix",
    "AdvertisedRoute",
    "AllAddresses",
    "AllLeases",
    "AllLinks",
    "AllRoutes",
    "Fact",
    "Lease",
    "Limitation",
    "LinkFact",
    "LinkGone",
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


@frozen(repr=False)
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


@frozen(repr=False)
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


@frozen(repr=False)
class RouteGone(Value):
    """A route was removed (RTM_DELROUTE): the one that is equal to ``route``, its ``expires`` apart."""

    route: RouteFact


@frozen(repr=False)
class AllLinks(Value):
    """All links that there are, as dumped: those not listed are gone."""

    links: tuple[LinkFact, ...]


@frozen(repr=False)
class AllAddresses(Value):
    """All addresses that there are, as dumped: those not listed are gone."""

    addresses: tuple[AddressFact, ...]


@frozen(repr=False)
class AllRoutes(Value):
    """All unicast routes that there are, as dumped: those not listed are gone."""

    routes: tuple[RouteFact, ...]


# ---------------------------------------------------------------- router advertisements (RFC 4861)


@frozen(repr=False)
class AdvertisedPrefix(Value):
    """A prefix information option (RFC 4861, 4.6.2)."""

    prefix: IPv6Network
    on_link: bool
    autonomous: bool
    valid_until: float
    preferred_until: float


@frozen(repr=False)
class AdvertisedRoute(Value):
    """A route information option (RFC 4191), or a router's default route.

    Attributes:
        preference: 1 high, 0 medium, -1 low.
        until: the deadline; one that has passed withdraws the route.
    """

    prefix: IPv6Network
    preference: int
    until: float


@frozen(repr=False)
class RouterHeader(Value):
    """The fixed part of a router advertisement (RFC 4861, 4.2).

    Attributes:
        until: until when the router is a default router; its lifetime was 0 if that is not later than the arrival.
        managed: the M flag: addresses come by DHCPv6.
        other_configuration: the O flag: other configuration comes by DHCPv6.
        preference: 1 high, 0 medium, -1 low (RFC 4191).
        hop_limit: 0 for unspecified.
    """

    until: float
    managed: bool = False
    other_configuration: bool = False
    preference: int = 0
    hop_limit: int = 0


@frozen(repr=False)
class RouterAdvertisement(Value):
    """A router said this on a link: all of an RA (trimif's own listener), or the part that the kernel passes on.

    What it does not mention stays as it was (RFC 4861, 6.3.4); a deadline not later than its arrival withdraws.

    Attributes:
        index: of the interface on which it came.
        router: the link-local address of its sender.
        header: None where only options are known (RTM_NEWNDUSEROPT).
        mtu: of the link in octets, None if not told.
        dns_servers: addresses and their deadlines (RFC 8106).
        search_domains: without trailing dot, and their deadlines (RFC 8106).
    """

    index: int
    router: IPv6Address
    header: RouterHeader | None = None
    mtu: int | None = None
    prefixes: tuple[AdvertisedPrefix, ...] = ()
    routes: tuple[AdvertisedRoute, ...] = ()
    dns_servers: tuple[tuple[IPv6Address, float], ...] = ()
    search_domains: tuple[tuple[str, float], ...] = ()


# ---------------------------------------------------------------- leases and static configuration


@frozen(repr=False)
class Lease(Value):
    """A DHCPv4 lease as the client on the host wrote it down (RFC 2131).

    Attributes:
        interface: the interface's name, as the client knew it.
        origin: the client (``dhclient``, ``pyroute2``) and the server.
        prefix_length: from the subnet mask (option 1), in bits.
        valid_until: when the lease ends (option 51).
        mtu: option 26 in octets, None if not told.
        routers: option 3.
        routes: option 121 (RFC 3442); where it is there, option 3 does not count.
        search_domains: option 119, else option 15; without trailing dot.
    """

    interface: str
    origin: Origin
    address: IPv4Address
    prefix_length: int
    valid_until: float
    routers: tuple[IPv4Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dns_servers: tuple[IPv4Address, ...] = ()
    search_domains: tuple[str, ...] = ()
    ntp_servers: tuple[IPv4Address, ...] = ()
    mtu: int | None = None


@frozen(repr=False)
class AllLeases(Value):
    """All current leases that one origin knows: those it told before and does not list are gone.

    Attributes:
        source: the origin's name, as in `trimif.Origin`.
    """

    source: str
    leases: tuple[Lease, ...]


def _addresses(values: Iterable[IPAddress | str]) -> tuple[IPAddress, ...]:
    if isinstance(values, str):
        raise TypeError(f"{values!r} is one string; give a sequence of addresses")
    return tuple(map(to_address, values))


def _names(values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"{values!r} is one string; give a sequence of domain names")
    return tuple(name.removesuffix(".") for name in values)


@frozen(repr=False)
class StaticConfiguration(Value):
    """What a person knows about an interface that nobody on the network says: a VPN's name servers, mostly.

    It belongs to the STATIC element of the interface's domains, each server to the domain of its family.

    Attributes:
        interface: the interface's name.
        dns_servers: in the order in which they are to be asked; text is converted.
        search_domains: a trailing dot is dropped.
    """

    interface: str = field(validator=instance_of(str))
    dns_servers: tuple[IPAddress, ...] = field(default=(), converter=_addresses)
    search_domains: tuple[str, ...] = field(default=(), converter=_names)


@frozen(repr=False)
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
    | StaticConfiguration
    | Limitation
)
"""Everything that a source can report."""
