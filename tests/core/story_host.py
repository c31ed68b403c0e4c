"""The facts of a story: random things that happen on a small host with the interfaces 2, 3 and 4."""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import cast

from trimif._facts import (
    AdditionalInformation,
    AddressFact,
    AddressGone,
    AddressProtocol,
    AdvertisedDomain,
    AdvertisedPrefix,
    AllAddresses,
    AllLeases,
    AllLinkConfigurations,
    AllLinks,
    AllRoutes,
    DHCPv6Lease,
    Fact,
    Lease,
    LeasedAddress,
    LinkConfiguration,
    LinkFact,
    LinkGone,
    PortalStatus,
    RouteFact,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import Data, Information, PortalInformation, PvdInformation, PvdOption
from trimif._model import InterfaceKind, Origin

INDEXES = (2, 3, 4)


class RandomHost:
    """Makes facts as a random source dictates; who tells the story says what the time is, and which links there are."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 1000.0
        self.links: dict[int, LinkFact] = {}

    def address(self, index: int, family: int) -> IPv4Address | IPv6Address:
        host = self.rng.randrange(1, 5)
        return ip_address(f"198.51.{index}.{host}" if family == 4 else f"2001:db8:{index}::{host}")

    def server(self, index: int, family: int) -> IPv4Address | IPv6Address:
        return ip_address(f"198.51.{index}.53" if family == 4 else f"2001:db8:{index}::53")

    def deadline(self) -> float:
        return self.now + self.rng.choice([0.0, 0.5, 3.0, 10.0, 60.0, float("inf")])

    def link_fact(self, index: int) -> LinkFact:
        rng = self.rng
        name = f"if{index}" if rng.random() < 0.8 else f"renamed{rng.randrange(2)}"
        return LinkFact(
            index, name, InterfaceKind.ETHERNET, rng.choice([1500, 9000]), rng.random() < 0.85, rng.random() < 0.85
        )

    def address_fact(self, index: int) -> AddressFact:
        rng, family = self.rng, self.rng.choice([4, 6])
        return AddressFact(
            index,
            self.address(index, family),
            24 if family == 4 else 64,
            valid_until=(valid := self.deadline()),
            preferred_until=min(valid, self.deadline()),
            tentative=rng.random() < 0.1,
            protocol=rng.choice([AddressProtocol.UNSPECIFIED, AddressProtocol.ROUTER_ADVERTISEMENT])
            if family == 6
            else AddressProtocol.UNSPECIFIED,
        )

    def route_fact(self, index: int) -> RouteFact:
        return RouteFact(
            index,
            ip_network("::/0"),
            IPv6Address(f"fe80::{index}"),
            metric=self.rng.choice([100, 200]),
            protocol=self.rng.choice([RouteProtocol.ROUTER_ADVERTISEMENT, RouteProtocol.STATIC]),
            expires=self.deadline(),
        )

    def advertisement(self, index: int) -> RouterAdvertisement:
        prefix = AdvertisedPrefix(IPv6Network(f"2001:db8:{index}::/64"), True, True, self.deadline(), self.deadline())
        rng, router = self.rng, IPv6Address(f"fe80::{index}:{self.rng.randrange(2)}")
        header = RouterHeader(self.deadline(), managed=rng.random() < 0.5, other_configuration=rng.random() < 0.5)
        servers = ((cast(IPv6Address, self.server(index, 6)), self.deadline()),)
        option = PvdOption(f"pvd{rng.randrange(2)}.example", legacy=rng.random() < 0.5)
        content = RouterAdvertisement(index, router, dns_servers=servers if rng.random() < 0.5 else ())
        return RouterAdvertisement(
            index,
            router,
            header if rng.random() < 0.7 else None,
            prefixes=(prefix,) if rng.random() < 0.7 else (),
            dns_servers=servers if rng.random() < 0.7 else (),
            captive_portal="https://portal.example/" if rng.random() < 0.2 else None,
            domain=AdvertisedDomain(option, content) if rng.random() < 0.25 else None,
        )

    def leases(self) -> AllLeases:
        some = self.rng.sample(INDEXES, self.rng.randrange(len(INDEXES) + 1))
        kinds = (self.lease, self.dhcpv6_lease)
        return AllLeases("dhclient", tuple(self.rng.choice(kinds)(index) for index in some))

    def dhcpv6_lease(self, index: int) -> DHCPv6Lease:
        until, server = self.deadline(), self.server(index, 6)
        own = LeasedAddress(cast(IPv6Address, self.address(index, 6)), until, until)
        addresses = (own,) if self.rng.random() < 0.6 else ()
        data: Data = ((Information.DNS_SERVERS, (server,)),)
        return DHCPv6Lease(f"if{index}", Origin("dhclient", server), until, addresses, data)

    def told_by_others(self, index: int) -> Fact:
        """What a manager knows, or what was fetched inside a domain."""
        rng = self.rng
        metered: Data = ((Information.METERED, rng.random() < 0.5),)
        known = LinkConfiguration(f"if{index}", Origin("resolved"), metered)
        identifier = f"pvd{rng.randrange(2)}.example"
        information = PvdInformation(identifier, self.deadline(), dns_zones=(f"zone{index}.example",))
        portal = PortalInformation(captive=rng.random() < 0.5)
        facts: list[Fact] = [
            AllLinkConfigurations("resolved", (known,) if rng.random() < 0.7 else ()),
            AdditionalInformation(index, identifier, information if rng.random() < 0.7 else None),
            PortalStatus(index, "https://portal.example/", portal if rng.random() < 0.7 else None),
        ]
        return rng.choice(facts)

    def lease(self, index: int) -> Lease:
        address = cast(IPv4Address, self.address(index, 4))
        server = cast(IPv4Address, self.server(index, 4))
        return Lease(f"if{index}", Origin("dhclient", server), address, 24, self.deadline(), dns_servers=(server,))

    def host_facts(self) -> Iterator[Fact]:
        """One thing that happens on the host."""
        rng = self.rng
        index = rng.choice(INDEXES)
        what = rng.randrange(40)
        if what == 0 and index in self.links:
            yield LinkGone(index)
            if rng.random() < 0.3:  # made again at once, with the same index
                yield self.link_fact(index)
        elif what <= 3 or index not in self.links:
            yield self.link_fact(index)
        elif what <= 16:
            yield self.address_fact(index)
        elif what <= 21:
            family = rng.choice([4, 6])
            yield AddressGone(index, self.address(index, family), 24 if family == 4 else 64)
        elif what <= 25:
            yield self.route_fact(index)
        elif what <= 34:
            yield self.advertisement(index)
        elif what <= 37:
            yield self.leases()
        elif what == 38:
            yield self.told_by_others(index)
        else:
            yield from self.resynchronisation()

    def resynchronisation(self) -> Iterator[Fact]:
        """As after an overrun: everything afresh, whatever was missed."""
        links = [self.link_fact(index) for index in INDEXES if self.rng.random() < 0.8]
        yield AllLinks(tuple(links))
        yield AllAddresses(tuple(self.address_fact(link.index) for link in links for _ in range(3)))
        yield AllRoutes(tuple(self.route_fact(link.index) for link in links))
