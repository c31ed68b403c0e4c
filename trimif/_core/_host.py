"""What the sources have told: the host as plain tables, one per kind of fact, kept by interface index.

Nothing is interpreted here. A fact changes a table and marks the interfaces that it touches; `_evidence` reads the
tables and says what they mean.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import define, evolve, field, frozen

from trimif._core._routers import HeldRouter, RouterKey, hear
from trimif._facts import (
    AdditionalInformation,
    AddressFact,
    AddressGone,
    AllAddresses,
    AllLeases,
    AllLinkConfigurations,
    AllLinks,
    AllRoutes,
    DHCPv6Lease,
    Fact,
    Lease,
    Limitation,
    LinkConfiguration,
    LinkFact,
    LinkGone,
    PortalStatus,
    RouteFact,
    RouteGone,
    RouterAdvertisement,
    StaticConfiguration,
)
from trimif._model import IPAddress

SETTLING_SECONDS = 2.0
"""How long a new address waits for a lease or router advertisement that claims it, before it counts as static."""
SAME_DEADLINE_SECONDS = 2.0
"""A deadline that moves by less has not moved: the kernel tells lifetimes in whole seconds."""

T = TypeVar("T")
AnyLease: TypeAlias = Lease | DHCPv6Lease
AddressKey = tuple[IPAddress, int]
K = TypeVar("K", bound=Hashable)
F = TypeVar("F", AdditionalInformation, PortalStatus)


@define(eq=False)
class HeldAddress:
    """An address, and from when on it is static if nothing claims it."""

    fact: AddressFact
    settled_at: float
    link_local: bool
    received: float


@frozen(eq=False)
class HeldRoute:
    """A route, and when trimif was told of it."""

    fact: RouteFact
    received: float


@frozen
class Received(Generic[T]):
    """A fact, and when trimif was told of it."""

    fact: T
    received: float = field(eq=False)


class Host:
    """The tables.

    `touched` collects the interfaces that facts have changed, and `moved` the addresses of which nothing but deadlines
    has changed. `broken` says that a link was lost or was taken up or down, which must not be collapsed with what
    follows. Whoever reads the tables resets all three.
    """

    def __init__(self) -> None:
        self.links: dict[int, LinkFact] = {}
        self.link_received: dict[int, float] = {}
        self.no_carrier_since: dict[int, float] = {}
        self.addresses: dict[int, dict[AddressKey, HeldAddress]] = {}
        self.routes: dict[int, dict[RouteFact, HeldRoute]] = {}
        self.routers: dict[int, dict[RouterKey, HeldRouter]] = {}
        self.leases: dict[str, tuple[Received[AnyLease], ...]] = {}
        self.configurations: dict[str, tuple[Received[LinkConfiguration], ...]] = {}
        self.static: dict[str, Received[StaticConfiguration]] = {}
        self.additional: dict[tuple[int, str], Received[AdditionalInformation]] = {}
        self.portals: dict[tuple[int, str], Received[PortalStatus]] = {}
        self.limitations: dict[Limitation, None] = {}
        self.touched: dict[int, None] = {}
        self.moved: dict[int, dict[HeldAddress, None]] = {}
        self.broken = False
        self._addresses_known = False

    def apply(self, fact: Fact, now: float) -> None:
        """Enter one fact into its table."""
        match fact:
            case AddressFact():
                self._set_address(fact, now + SETTLING_SECONDS, now)
            case AddressGone(index=index, address=address, prefix_length=prefix_length):
                if self.addresses.get(index, {}).pop((address, prefix_length), None) is not None:
                    self.touched[index] = None
            case RouteFact(index=index):
                routes = self.routes.setdefault(index, {})
                routes.pop(fact, None)  # an equal key would stay, with the old expiry in it
                routes[fact] = HeldRoute(fact, now)
                self.touched[index] = None
            case RouteGone(route=route):
                if self.routes.get(route.index, {}).pop(route, None) is not None:
                    self.touched[route.index] = None
            case LinkFact():
                self._set_link(fact, now)
            case LinkGone(index=index):
                self._lose_link(index)
            case RouterAdvertisement():
                if hear(self.routers.setdefault(fact.index, {}), fact, now):
                    self.touched[fact.index] = None
            case _:
                self._apply_rare(fact, now)

    def _apply_rare(self, fact: Fact, now: float) -> None:
        match fact:
            case AllLinks(links=links):
                for index in self.links.keys() - {link.index for link in links}:
                    self._lose_link(index)
                for link in links:
                    self._set_link(link, now)
            case AllAddresses(addresses=addresses):
                self._set_addresses(addresses, now)
            case AllRoutes(routes=routes):
                self._set_routes(routes, now)
            case AllLeases(source=source, leases=leases):
                self._set_leases(source, leases, now)
            case AllLinkConfigurations(source=source, configurations=configurations):
                held = tuple(Received(each, now) for each in configurations)
                if self.configurations.get(source, ()) != held:
                    self.configurations[source] = held
                    self.touched.update(dict.fromkeys(self.links))
            case StaticConfiguration(interface=interface):
                self.static[interface] = Received(fact, now)
                self.touched.update(dict.fromkeys(self.links))
            case AdditionalInformation(index=index, identifier=identifier):
                self._set_fetched(self.additional, index, (index, identifier), fact, now)
            case PortalStatus(index=index, uri=uri):
                self._set_fetched(self.portals, index, (index, uri), fact, now)
            case Limitation():
                self.limitations[fact] = None
            case _:
                raise TypeError(f"{fact!r} is not a fact")

    # ---------------------------------------------------------------- the kernel's tables

    def _set_link(self, link: LinkFact, now: float) -> None:
        before = self.links.get(link.index)
        if before == link:
            return
        names = {link.name} if before is None else {link.name, before.name}
        if (before is None or len(names) == 2) and not names.isdisjoint(self._names_told()):
            self.touched.update(dict.fromkeys(self.links))
        self.links[link.index] = link
        self.link_received[link.index] = now
        self.broken |= before is not None and before.up != link.up
        if link.carrier:
            self.no_carrier_since.pop(link.index, None)
        else:
            self.no_carrier_since.setdefault(link.index, now)
        if not link.up:  # what routers said on the link that was says nothing about the next one
            self.routers.pop(link.index, None)
            self._forget_fetched(link.index)
        self.touched[link.index] = None

    def _names_told(self) -> Iterator[str]:
        """Leases and static configuration go by name."""
        yield from self.static
        yield from (held.fact.interface for leases in self.leases.values() for held in leases)
        yield from (held.fact.interface for told in self.configurations.values() for held in told)

    def _lose_link(self, index: int) -> None:
        self.broken |= index in self.links
        tables: tuple[dict[int, Any], ...] = (
            self.links,
            self.link_received,
            self.no_carrier_since,
            self.addresses,
            self.routes,
            self.routers,
        )
        for table in tables:
            table.pop(index, None)
        self._forget_fetched(index)
        self.touched[index] = None

    def _set_address(self, fact: AddressFact, settled_at: float, now: float) -> HeldAddress:
        table = self.addresses.setdefault(fact.index, {})
        key = (fact.address, fact.prefix_length)
        held = table.get(key)
        if held is None:
            held = table[key] = HeldAddress(fact, settled_at, fact.address.is_link_local, now)
            self.touched[fact.index] = None
            return held
        before, held.fact = held.fact, _with_steady_deadline(held.fact, fact)
        if before.tentative != fact.tentative or before.temporary != fact.temporary or before.protocol != fact.protocol:
            self.touched[fact.index] = None
        elif held.fact != before:
            self.moved.setdefault(fact.index, {})[held] = None
        return held

    def _set_addresses(self, facts: tuple[AddressFact, ...], now: float) -> None:
        listed = set()
        for fact in facts:
            at_once = not self._addresses_known and math.isinf(fact.valid_until)
            listed.add(self._set_address(fact, now if at_once else now + SETTLING_SECONDS, now))
        for index, table in self.addresses.items():
            for key in [key for key, held in table.items() if held not in listed]:
                del table[key]
                self.touched[index] = None
        self._addresses_known = True

    def _set_routes(self, facts: tuple[RouteFact, ...], now: float) -> None:
        before, self.routes = self.routes, {}
        for fact in facts:
            routes = self.routes.setdefault(fact.index, {})
            route = _with_steady_expiry(before.get(fact.index, {}).get(fact), HeldRoute(fact, now))
            routes.pop(fact, None)
            routes[fact] = route
        for index in before.keys() | self.routes.keys():
            if not _identical(before.get(index, {}), self.routes.get(index, {})):
                self.touched[index] = None

    def _set_leases(self, source: str, leases: tuple[AnyLease, ...], now: float) -> None:
        before = {_key_of(held.fact): held for held in self.leases.get(source, ())}
        told = tuple(_with_steady_end(before.get(_key_of(lease)), Received(lease, now)) for lease in leases)
        if self.leases.get(source, ()) != told:
            self.touched.update(dict.fromkeys(self.links))
        self.leases[source] = told

    # ---------------------------------------------------------------- what was fetched

    def _set_fetched(self, table: dict[K, Received[F]], index: int, key: K, fact: F, now: float) -> None:
        if table.get(key) != Received(fact, now):
            table[key] = Received(fact, now)
            self.touched[index] = None
        if fact.information is None:
            del table[key]

    def _forget_fetched(self, index: int) -> None:
        """It was fetched inside a domain of the link that was."""
        for table in (self.additional, self.portals):
            for key in [key for key in table if key[0] == index]:
                del table[key]


def _with_steady_end(before: Received[AnyLease] | None, after: Received[AnyLease]) -> Received[AnyLease]:
    """The lease as it was told before if nothing has changed, so that a file read again is no news."""
    if before is None:
        return after
    end = _moved(before.fact.valid_until, after.fact.valid_until)
    if end == before.fact.valid_until and evolve(after.fact, valid_until=end) == before.fact:
        return before
    return Received(evolve(after.fact, valid_until=end), after.received)


def _key_of(lease: AnyLease) -> tuple[str, object]:
    return lease.interface, lease.address if isinstance(lease, Lease) else None


def _with_steady_deadline(before: AddressFact, after: AddressFact) -> AddressFact:
    valid_until = _moved(before.valid_until, after.valid_until)
    preferred_until = _moved(before.preferred_until, after.preferred_until)
    if valid_until == after.valid_until and preferred_until == after.preferred_until:
        return after
    return evolve(after, valid_until=valid_until, preferred_until=preferred_until)


def _with_steady_expiry(before: HeldRoute | None, after: HeldRoute) -> HeldRoute:
    if before is None or _moved(before.fact.expires, after.fact.expires) != before.fact.expires:
        return after
    return before


def _identical(before: dict[RouteFact, HeldRoute], after: dict[RouteFact, HeldRoute]) -> bool:
    """Whether the tables hold the same objects in the same order."""
    return len(before) == len(after) and all(map(operator.is_, before.values(), after.values()))


def _moved(before: float, after: float) -> float:
    """The new deadline, or the old one if it has not moved."""
    if before == after or abs(before - after) < SAME_DEADLINE_SECONDS:
        return before
    return after
