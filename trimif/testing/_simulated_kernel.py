"""The kernel of a simulated host: interfaces, addresses, routes, and who listens to what happens to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network

import trio
from attrs import evolve

from trimif._facts import AddressFact, AddressGone, Fact, LinkFact, LinkGone, RouteFact, RouteGone, RouteProtocol
from trimif._model import InterfaceKind
from trimif._sources import Report
from trimif.testing._peer import Peer
from trimif.testing._simulated_networks import SimulatedNetworks
from trimif.testing._simulated_tables import Tables

__all__ = ["SimulatedKernel", "deadline_in"]


class SimulatedKernel(SimulatedNetworks):
    """Follows every fact, so that it knows what its verbs are about, and tells it to whoever listens."""

    def __init__(
        self,
        names: Mapping[tuple[str, str], Sequence[tuple[float, str]]] | None = None,
        peers: Mapping[tuple[str, str], Peer] | None = None,
    ) -> None:
        super().__init__(names, peers)
        self._tables = Tables()
        self._listeners: list[Report] = []
        self._last_index = 1

    def report(self, *facts: Fact) -> None:
        """These facts become true in one step, and every MIF on the host is told."""
        self._follow(facts)
        for listener in list(self._listeners):
            listener(facts)

    def _follow(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._tables.follow(fact, _now())
        self._last_index = max([self._last_index, *(link.index for link in self._tables.links())])

    # ---------------------------------------------------------------- interfaces

    def add_link(
        self,
        interface: str,
        *,
        kind: InterfaceKind = InterfaceKind.ETHERNET,
        mtu: int = 1500,
        up: bool = True,
        carrier: bool = True,
    ) -> int:
        """A new interface; ``"lo"`` is the loopback interface, with its addresses.

        Returns:
            The kernel's index of it, for facts; never used again.
        """
        if any(link.name == interface for link in self._tables.links()):
            raise ValueError(f"the simulated host has an interface {interface!r} already")
        if interface == "lo":
            self.report(LinkFact(1, "lo", InterfaceKind.LOOPBACK, 65536, up, carrier))
            self.report(AddressFact(1, ip_address("127.0.0.1"), 8), AddressFact(1, ip_address("::1"), 128))
            return 1
        index = self._last_index + 1
        self.report(LinkFact(index, interface, kind, mtu, up, carrier))
        return index

    def remove_link(self, interface: str) -> None:
        """The interface is gone, with its addresses and routes, and all that clients and managers know of it."""
        link = self._tables.link(interface)
        self.report(LinkGone(link.index), *self._tables.renamed(interface, None))

    def rename(self, interface: str, name: str) -> None:
        """The interface has another name, and so have its domains, as far as names and peers are known by them."""
        link = self._tables.link(interface)
        self.report(evolve(link, name=name), *self._tables.renamed(interface, name))
        self._rename_domains(interface, name)

    def set_carrier(self, interface: str, carrier: bool) -> None:
        """The cable is plugged in or out. Domains outlive a loss of carrier by five seconds."""
        self.report(evolve(self._tables.link(interface), carrier=carrier))

    def set_up(self, interface: str, up: bool) -> None:
        """Administratively up or down; down, it loses its routes and IPv6 addresses, as Linux takes them away."""
        link = self._tables.link(interface)
        if up:
            self.report(evolve(link, up=True, carrier=True))
            return
        addresses = [each for each in self._tables.addresses_of(link) if each.address.version == 6]
        gone = (AddressGone(link.index, each.address, each.prefix_length) for each in addresses)
        self.report(evolve(link, up=False, carrier=False), *gone, *map(RouteGone, self._tables.routes_of(link)))

    # ---------------------------------------------------------------- addresses and routes

    def add_address(
        self, interface: str, address: str, *, seconds: float = math.inf, preferred_seconds: float | None = None
    ) -> None:
        """An address with its prefix length, for example ``"198.51.100.7/24"``: by hand, or its lifetimes again.

        Without a lease or a router advertisement that claims it, it is in the element STATIC: at once if it is for
        ever and the MIF finds it when it opens, else after two seconds.
        """
        parsed = ip_interface(address)
        preferred = seconds if preferred_seconds is None else preferred_seconds
        index, length = self._tables.link(interface).index, parsed.network.prefixlen
        self.report(AddressFact(index, parsed.ip, length, deadline_in(seconds), deadline_in(preferred)))

    def remove_address(self, interface: str, address: str) -> None:
        """The address is gone; the prefix length may be left out."""
        link, wanted = self._tables.link(interface), ip_interface(address).ip
        found = [each for each in self._tables.addresses_of(link) if each.address == wanted]
        if not found:
            raise ValueError(f"{interface!r} of the simulated host has no address {address!r}")
        self.report(*(AddressGone(link.index, each.address, each.prefix_length) for each in found))

    def add_route(self, interface: str, destination: str, *, router: str | None = None) -> None:
        """A route by hand, for example to ``"0.0.0.0/0"``; without a router the destination is on the link."""
        index, via = self._tables.link(interface).index, None if router is None else ip_address(router)
        self.report(RouteFact(index, ip_network(destination), via, protocol=RouteProtocol.STATIC))

    def remove_route(self, interface: str, destination: str) -> None:
        """The routes to a destination are gone, through whichever router."""
        routes = self._tables.routes_of(self._tables.link(interface))
        found = [each for each in routes if each.destination == ip_network(destination)]
        if not found:
            raise ValueError(f"{interface!r} of the simulated host has no route to {destination!r}")
        self.report(*map(RouteGone, found))


def deadline_in(seconds: float) -> float:
    """So many seconds from now, on Trio's clock; for ever without one."""
    return math.inf if seconds == math.inf else trio.current_time() + seconds


def _now() -> float:
    """Before Trio runs there is no time; nothing of then can have expired."""
    return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0
