"""The facts about a small host, written short: what the verbs of `SimulatedHost` and many tests are made of.

Interface number ``N`` has the networks ``198.51.N.0/24`` and ``2001:db8:N::/64``, so that a mix-up shows.
"""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from trimif._facts import (
    AddressFact,
    AdvertisedPrefix,
    AllLeases,
    Fact,
    Lease,
    LinkFact,
    RouteFact,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._model import InterfaceKind, Origin

__all__ = ["FIGURE_2", "LOOPBACK", "address", "ipv4", "ipv6", "link"]


def link(index: int, name: str, *, up: bool = True, carrier: bool = True) -> LinkFact:
    """A link with an MTU of 1500 octets; index 1 is the loopback interface."""
    kind = InterfaceKind.LOOPBACK if index == 1 else InterfaceKind.ETHERNET
    return LinkFact(index, name, kind, 1500, up, carrier)


def address(index: int, text: str, *, valid_until: float = math.inf, preferred_until: float = math.inf) -> AddressFact:
    """An address with a prefix of 24 or 64 bits."""
    where = ip_address(text)
    return AddressFact(index, where, 24 if where.version == 4 else 64, valid_until, preferred_until)


def ipv4(index: int, name: str, until: float = math.inf) -> tuple[Fact, ...]:
    """A DHCPv4 lease with its address and route: the domain ``NAME/ipv4``."""
    router = IPv4Address(f"198.51.{index}.1")
    own = IPv4Address(f"198.51.{index}.10")
    lease = Lease(name, Origin("dhclient", router), own, 24, until, routers=(router,), dns_servers=(router,))
    route = RouteFact(index, ip_network("0.0.0.0/0"), router, protocol=RouteProtocol.DHCP)
    return AllLeases(f"dhclient {index}", (lease,)), address(index, str(own)), route


def ipv6(index: int, until: float = math.inf) -> tuple[Fact, ...]:
    """A router advertisement and the address made of it: the domain ``NAME/ipv6``."""
    prefix = AdvertisedPrefix(IPv6Network(f"2001:db8:{index}::/64"), True, True, until, until)
    router = IPv6Address(f"fe80::{index}")
    server = (IPv6Address(f"2001:db8:{index}::53"), until)
    advertisement = RouterAdvertisement(index, router, RouterHeader(until), prefixes=(prefix,), dns_servers=(server,))
    return advertisement, address(index, f"2001:db8:{index}::10", valid_until=until, preferred_until=until)


LOOPBACK: tuple[Fact, ...] = (link(1, "lo"), address(1, "127.0.0.1"), address(1, "::1"))
FIGURE_2: tuple[Fact, ...] = (
    *LOOPBACK,
    link(2, "eth0"),
    link(3, "wa0"),
    *ipv4(2, "eth0"),
    *ipv6(2),
    *ipv6(3),
)
"""The host of the draft's figure 2: eth0 with two domains, wa0 with one."""
