"""What a simulated host is at this moment, as facts: what a MIF that opens now has to be told.

The tables are the core's own; here they are turned back into the facts that they were made of, as the kernel's dumps
and a fresh read of the lease files would give them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from typing import TypeVar

from attrs import evolve

from trimif._core._host import Host
from trimif._facts import (
    AddressFact,
    AllAddresses,
    AllLeases,
    AllLinkConfigurations,
    AllLinks,
    AllRoutes,
    DHCPv6Lease,
    Fact,
    Lease,
    LinkConfiguration,
    LinkFact,
    RouteFact,
    RouterAdvertisement,
)

__all__ = ["Tables"]

Named = TypeVar("Named", Lease | DHCPv6Lease, LinkConfiguration)


class Tables:
    """Follows every fact of a host."""

    def __init__(self) -> None:
        self._host = Host()

    def follow(self, fact: Fact, now: float) -> None:
        """Enter a fact."""
        self._host.apply(fact, now)

    def present(self, now: float) -> Iterator[Fact]:
        """All that there is, in the order in which the real sources report it.

        The kernel takes addresses away on time; of routes it also tells those that have expired and are not collected.
        """
        yield from self._host.limitations
        yield from (held.fact for held in self._host.static.values())
        for source in self._host.leases:
            yield AllLeases(source, self.leases_of(source))
        for source in self._host.configurations:
            yield AllLinkConfigurations(source, self.configurations_of(source))
        yield AllLinks(tuple(self._host.links.values()))
        yield AllAddresses(tuple(each for each in self._addresses() if each.valid_until > now))
        yield AllRoutes(tuple(self._routes()))
        yield from self._advertisements(now)
        yield from (fetched.fact for fetched in self._host.additional.values())
        yield from (asked.fact for asked in self._host.portals.values())

    def _advertisements(self, now: float) -> Iterator[Fact]:
        """The dead first: an advertisement takes back what only the kernel had passed on of its router before."""
        for index, routers in self._host.routers.items():
            for (router, _), held in sorted(routers.items(), key=lambda each: each[1].is_alive(now)):
                yield held.advertisement(index, router)

    def _addresses(self) -> Iterator[AddressFact]:
        for addresses in self._host.addresses.values():
            yield from (held.fact for held in addresses.values())

    def _routes(self) -> Iterator[RouteFact]:
        for routes in self._host.routes.values():
            yield from (held.fact for held in routes.values())

    # ---------------------------------------------------------------- the kernel's

    def link(self, name: str) -> LinkFact:
        """The interface of that name.

        Raises:
            ValueError: there is none.
        """
        for link in self._host.links.values():
            if link.name == name:
                return link
        names = ", ".join(link.name for link in self._host.links.values())
        raise ValueError(f"the simulated host has no interface {name!r}; it has {names or 'none'}")

    def links(self) -> tuple[LinkFact, ...]:
        """All interfaces, the oldest first."""
        return tuple(self._host.links.values())

    def addresses_of(self, link: LinkFact) -> tuple[AddressFact, ...]:
        """The addresses of an interface."""
        return tuple(each for each in self._addresses() if each.index == link.index)

    def routes_of(self, link: LinkFact) -> tuple[RouteFact, ...]:
        """The routes out of an interface."""
        return tuple(each for each in self._routes() if each.index == link.index)

    # ---------------------------------------------------------------- clients' and managers'

    def leases_of(self, source: str) -> tuple[Lease | DHCPv6Lease, ...]:
        """The leases that one client holds."""
        return tuple(each.fact for each in self._host.leases.get(source, ()))

    def configurations_of(self, manager: str) -> tuple[LinkConfiguration, ...]:
        """What one manager was told, of all links."""
        return tuple(each.fact for each in self._host.configurations.get(manager, ()))

    def renamed(self, interface: str, name: str | None) -> Iterator[Fact]:
        """What clients and managers say of an interface, said again of another name; of none, they say it no more."""
        for source in self._host.leases:
            leases = self.leases_of(source)
            if any(each.interface == interface for each in leases):
                yield AllLeases(source, tuple(_renamed(leases, interface, name)))
        for source in self._host.configurations:
            told = self.configurations_of(source)
            if any(each.interface == interface for each in told):
                yield AllLinkConfigurations(source, tuple(_renamed(told, interface, name)))

    # ---------------------------------------------------------------- routers' and servers'

    def routers_of(self, link: LinkFact) -> dict[tuple[IPv6Address, str | None], RouterAdvertisement]:
        """What each router on a link has said, by its address and the explicit domain that it was for."""
        told = self._host.routers.get(link.index, {})
        return {key: held.advertisement(link.index, key[0]) for key, held in told.items()}

    def fetched_for(self, link: LinkFact) -> list[str]:
        """The explicit domains of a link whose additional information was fetched, and the portals that were asked."""
        return [key for index, key in (*self._host.additional, *self._host.portals) if index == link.index]


def _renamed(told: Iterable[Named], interface: str, name: str | None) -> Iterator[Named]:
    for each in told:
        if each.interface != interface:
            yield each
        elif name is not None:
            yield evolve(each, interface=name)
