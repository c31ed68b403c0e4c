"""A core that is told facts, and what it makes of them as short lines: ``eth0/ipv6 RA DHCPV6 2001:db8:2::10``."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

from trimif import ConfigurationData, ElementType, GetConfigurationData, Information, NoConfigurationData
from trimif._core import Core, Grouping, by_family, post
from trimif._facts import (
    AddressFact,
    AdvertisedDomain,
    AdvertisedPrefix,
    AllLeases,
    DHCPv6Lease,
    Fact,
    Lease,
    LeasedAddress,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import Data, PvdOption
from trimif._model import Origin
from trimif.testing._simulated_facts import address, link

NOW = 1000.0
ETH0 = link(2, "eth0")
SLAAC = address(2, "2001:db8:2::10")
LEASED = address(2, "198.51.2.10")


class SmallHost:
    """One core at a time that stands still until `at` moves it."""

    def __init__(self, *facts: Fact, grouping: Grouping = by_family) -> None:
        self.core = Core("test", grouping)
        self.now = NOW
        self.tell(*facts)

    def tell(self, *facts: Fact) -> None:
        self.core.apply(facts, self.now)

    def at(self, now: float) -> None:
        """Let time pass, deadline by deadline."""
        while self.core.next_deadline <= now:
            self.now = self.core.next_deadline
            self.core.advance(self.now)
        self.now = now

    def domains(self) -> list[str]:
        """Each domain with its elements and addresses."""
        return [
            " ".join(
                [
                    domain.announcement.name,
                    *(each.announcement.element.name for each in domain.elements),
                    *(str(each.address) for each in domain.addresses),
                ]
            )
            for interface in self.core.snapshot().interfaces
            for domain in interface.domains
        ]

    def get(self, name: str, element: ElementType, information: Information[Any]) -> ConfigurationData[Any]:
        """The answer to Get Configuration Data in the domain of that name."""
        answer = self._answer(name, element, information)
        assert isinstance(answer, ConfigurationData), answer
        return answer

    def refusal(self, name: str, element: ElementType, information: Information[Any]) -> str:
        """Why there is no answer."""
        answer = self._answer(name, element, information)
        assert isinstance(answer, NoConfigurationData), answer
        return answer.reason

    def _answer(self, name: str, element: ElementType, information: Information[Any]) -> object:
        (found,) = (
            domain.announcement.domain
            for interface in self.core.snapshot().interfaces
            for domain in interface.domains
            if domain.announcement.name == name
        )
        mailbox = self.core.open_mailbox(10, 10, lambda: None)
        post(self.core, mailbox, GetConfigurationData(found, element, information))
        return mailbox.take(self.core.presence)


def advertisement(
    router: str = "fe80::1",
    *,
    pvd: PvdOption | None = None,
    prefix: str | None = "2001:db8:2::/64",
    until: float = NOW + 1800,
    managed: bool = False,
    other: bool = False,
    preference: int = 0,
    server: str | None = "2001:db8:2::53",
    **more: Any,
) -> RouterAdvertisement:
    """What a router says on eth0; where it names a domain, only the PvD option is nested, and nothing in it."""
    sender = IPv6Address(router)
    return RouterAdvertisement(
        2,
        sender,
        RouterHeader(until, managed, other, preference),
        prefixes=() if prefix is None else (AdvertisedPrefix(IPv6Network(prefix), True, True, until, until),),
        dns_servers=() if server is None else ((IPv6Address(server), until),),
        domain=None if pvd is None else AdvertisedDomain(pvd, RouterAdvertisement(2, sender)),
        **more,
    )


def dhcpv4(until: float = NOW + 3600, data: Data = (), server: str = "198.51.2.1") -> AllLeases:
    """A lease of 198.51.2.10 on eth0."""
    router = IPv4Address(server)
    lease = Lease(
        "eth0", Origin("dhclient", router), IPv4Address("198.51.2.10"), 24, until, (router,), (), (router,), data=data
    )
    return AllLeases("dhclient", (lease,))


def dhcpv6(*addresses: str, until: float = NOW + 3600, data: Data = ()) -> AllLeases:
    """A lease on eth0; without addresses a stateless answer."""
    server = IPv6Address("fe80::dd")
    leased = tuple(LeasedAddress(IPv6Address(each), until, until - 600) for each in addresses)
    servers: Data = ((Information.DNS_SERVERS, (IPv6Address("2001:db8:2::66"),)),)
    return AllLeases("dhclient -6", (DHCPv6Lease("eth0", Origin("dhclient", server), until, leased, servers + data),))


def dhcpv6_address(text: str) -> AddressFact:
    """As a client sets it: 128 bits, for ever."""
    return AddressFact(2, IPv6Address(text), 128)


def values(answer: ConfigurationData[Any]) -> list[str]:
    """The items of an answer as text."""
    data: Sequence[Any] = answer.data
    return [str(each) for each in data]
