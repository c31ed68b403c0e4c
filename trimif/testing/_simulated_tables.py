"""What a simulated host is at this moment, as facts: what a MIF that opens now has to be told.

The tables are the core's own; here they are turned back into the facts that they were made of, as the kernel's dumps
and a fresh read of the lease files would give them.
"""

from __future__ import annotations

from collections.abc import Iterator

from trimif._core._host import Host
from trimif._facts import (
    AddressFact,
    AllAddresses,
    AllLeases,
    AllLinkConfigurations,
    AllLinks,
    AllRoutes,
    Fact,
    Lease,
    LinkFact,
    RouteFact,
)

__all__ = ["Tables"]


class Tables:
    """Follows every fact of a host."""

    def __init__(self) -> None:
        self._host = Host()

    def follow(self, fact: Fact, now: float) -> None:
        """Enter a fact."""
        self._host.apply(fact, now)

    def present(self, now: float) -> Iterator[Fact]:
        """All that there is, in the order in which the real sources report it. What has expired is left out."""
        yield from self._host.limitations
        yield from (held.fact for held in self._host.static.values())
        for source, leases in self._host.leases.items():
            yield AllLeases(source, tuple(held.fact for held in leases))
        for source, told in self._host.configurations.items():
            yield AllLinkConfigurations(source, tuple(held.fact for held in told))
        yield AllLinks(tuple(self._host.links.values()))
        yield AllAddresses(tuple(each for each in self._addresses() if each.valid_until > now))
        yield AllRoutes(tuple(each for each in self._routes() if each.expires > now))
        for index, routers in self._host.routers.items():
            for (router, _), held in routers.items():
                yield held.advertisement(index, router)

    def _addresses(self) -> Iterator[AddressFact]:
        for addresses in self._host.addresses.values():
            yield from (held.fact for held in addresses.values())

    def _routes(self) -> Iterator[RouteFact]:
        for routes in self._host.routes.values():
            yield from (held.fact for held in routes.values())

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

    def leases_of(self, source: str) -> tuple[Lease, ...]:
        """The leases that one client holds."""
        return tuple(each.fact for each in self._host.leases.get(source, ()) if isinstance(each.fact, Lease))
