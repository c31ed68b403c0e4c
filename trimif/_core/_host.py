"""What the sources have told: the host as plain tables, one per kind of fact, kept by interface index.

Nothing is interpreted here. A fact changes a table and marks the interfaces that it touches; `_evidence` reads the
tables and says what they mean.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, IPv6Network
from typing import Any, TypeVar

from attrs import define, evolve, field

from trimif._facts import (
    AddressFact,
    AddressGone,
    AdvertisedPrefix,
    AdvertisedRoute,
    AllAddresses,
    AllLeases,
    AllLinks,
    AllRoutes,
    DHCPv6Lease,
    Fact,
    Lease,
    Limitation,
    LinkFact,
    LinkGone,
    RouteFact,
    RouteGone,
    RouterAdvertisement,
    RouterHeader,
    StaticConfiguration,
)
from trimif._model import IPAddress

SETTLING_SECONDS = 2.0
"""How long a new address waits for a lease or router advertisement that claims it, before it counts as static."""
SAME_DEADLINE_SECONDS = 2.0
"""A deadline that moves by less has not moved: the kernel tells lifetimes in whole seconds."""
ROUTERS_PER_LINK = 16
ITEMS_PER_ROUTER = 64
"""Bounds on what strangers on a link can make us keep."""

K = TypeVar("K")
V = TypeVar("V")
AddressKey = tuple[IPAddress, int]


@define(eq=False)
class HeldAddress:
    """An address, and from when on it is static if nothing claims it."""

    fact: AddressFact
    settled_at: float
    link_local: bool


@define
class HeldRouter:
    """All that one router on a link has said and not withdrawn (RFC 4861, 6.3.4: later RAs add to earlier ones)."""

    header: RouterHeader | None = None
    mtu: int | None = None
    prefixes: dict[IPv6Network, AdvertisedPrefix] = field(factory=dict)
    routes: dict[IPv6Network, AdvertisedRoute] = field(factory=dict)
    dns_servers: dict[IPv6Address, float] = field(factory=dict)
    search_domains: dict[str, float] = field(factory=dict)

    def hear(self, advertisement: RouterAdvertisement, now: float) -> None:
        """Merge one advertisement; what it gives no lifetime is forgotten."""
        self.header = advertisement.header or self.header
        self.mtu = advertisement.mtu if advertisement.mtu is not None else self.mtu
        self.prefixes.update((each.prefix, each) for each in advertisement.prefixes)
        self.routes.update((each.prefix, each) for each in advertisement.routes)
        self.dns_servers.update(advertisement.dns_servers)
        self.search_domains.update(advertisement.search_domains)
        self.prefixes = _newest((key, each) for key, each in self.prefixes.items() if each.valid_until > now)
        self.routes = _newest((key, each) for key, each in self.routes.items() if each.until > now)
        self.dns_servers = _newest((key, until) for key, until in self.dns_servers.items() if until > now)
        self.search_domains = _newest((key, until) for key, until in self.search_domains.items() if until > now)


def _newest(items: Iterable[tuple[K, V]]) -> dict[K, V]:
    return dict(list(items)[-ITEMS_PER_ROUTER:])


class Host:
    """The tables.

    `touched` collects the interfaces that facts have changed, and `moved` the addresses of which nothing but deadlines
    has changed. `broken` says that a link was lost or was taken up or down, which must not be collapsed with what
    follows. Whoever reads the tables resets all three.
    """

    def __init__(self) -> None:
        self.links: dict[int, LinkFact] = {}
        self.no_carrier_since: dict[int, float] = {}
        self.addresses: dict[int, dict[AddressKey, HeldAddress]] = {}
        self.routes: dict[int, dict[RouteFact, RouteFact]] = {}
        self.routers: dict[int, dict[IPv6Address, HeldRouter]] = {}
        self.leases: dict[str, tuple[Lease | DHCPv6Lease, ...]] = {}
        self.static: dict[str, StaticConfiguration] = {}
        self.limitations: dict[Limitation, None] = {}
        self.touched: dict[int, None] = {}
        self.moved: dict[int, dict[HeldAddress, None]] = {}
        self.broken = False
        self._addresses_known = False

    def apply(self, fact: Fact, now: float) -> None:
        """Enter one fact into its table."""
        match fact:
            case AddressFact():
                self._set_address(fact, now + SETTLING_SECONDS)
            case AddressGone(index=index, address=address, prefix_length=prefix_length):
                if self.addresses.get(index, {}).pop((address, prefix_length), None) is not None:
                    self.touched[index] = None
            case RouteFact(index=index):
                routes = self.routes.setdefault(index, {})
                routes.pop(fact, None)  # an equal key would stay, with the old expiry in it
                routes[fact] = fact
                self.touched[index] = None
            case RouteGone(route=route):
                if self.routes.get(route.index, {}).pop(route, None) is not None:
                    self.touched[route.index] = None
            case LinkFact():
                self._set_link(fact, now)
            case LinkGone(index=index):
                self._lose_link(index)
            case RouterAdvertisement():
                self._hear_router(fact, now)
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
                self._set_routes(routes)
            case AllLeases(source=source, leases=leases):
                self._set_leases(source, leases)
            case StaticConfiguration(interface=interface):
                self.static[interface] = fact
                self.touched.update(dict.fromkeys(self.links))
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
        self.broken |= before is not None and before.up != link.up
        if link.carrier:
            self.no_carrier_since.pop(link.index, None)
        else:
            self.no_carrier_since.setdefault(link.index, now)
        if not link.up:  # what routers said on the link that was says nothing about the next one
            self.routers.pop(link.index, None)
        self.touched[link.index] = None

    def _names_told(self) -> Iterator[str]:
        """Leases and static configuration go by name."""
        yield from self.static
        yield from (lease.interface for leases in self.leases.values() for lease in leases)

    def _lose_link(self, index: int) -> None:
        self.broken |= index in self.links
        tables: tuple[dict[int, Any], ...] = (
            self.links,
            self.no_carrier_since,
            self.addresses,
            self.routes,
            self.routers,
        )
        for table in tables:
            table.pop(index, None)
        self.touched[index] = None

    def _set_address(self, fact: AddressFact, settled_at: float) -> HeldAddress:
        table = self.addresses.setdefault(fact.index, {})
        key = (fact.address, fact.prefix_length)
        held = table.get(key)
        if held is None:
            held = table[key] = HeldAddress(fact, settled_at, fact.address.is_link_local)
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
            listed.add(self._set_address(fact, now if at_once else now + SETTLING_SECONDS))
        for index, table in self.addresses.items():
            for key in [key for key, held in table.items() if held not in listed]:
                del table[key]
                self.touched[index] = None
        self._addresses_known = True

    def _set_routes(self, facts: tuple[RouteFact, ...]) -> None:
        before, self.routes = self.routes, {}
        for fact in facts:
            routes = self.routes.setdefault(fact.index, {})
            fact = _with_steady_expiry(before.get(fact.index, {}).get(fact), fact)
            routes.pop(fact, None)
            routes[fact] = fact
        for index in before.keys() | self.routes.keys():
            if not _identical(before.get(index, {}), self.routes.get(index, {})):
                self.touched[index] = None

    def _set_leases(self, source: str, leases: tuple[Lease | DHCPv6Lease, ...]) -> None:
        leases = self._with_steady_deadlines(source, leases)
        if self.leases.get(source, ()) != leases:
            self.touched.update(dict.fromkeys(self.links))
        self.leases[source] = leases

    def _with_steady_deadlines(
        self, source: str, leases: tuple[Lease | DHCPv6Lease, ...]
    ) -> tuple[Lease | DHCPv6Lease, ...]:
        before = {_key_of(lease): lease.valid_until for lease in self.leases.get(source, ())}
        return tuple(
            evolve(lease, valid_until=_moved(before.get(_key_of(lease), math.nan), lease.valid_until))
            for lease in leases
        )

    # ---------------------------------------------------------------- what routers said

    def _hear_router(self, advertisement: RouterAdvertisement, now: float) -> None:
        routers = self.routers.setdefault(advertisement.index, {})
        if advertisement.router not in routers and len(routers) >= ROUTERS_PER_LINK:
            return  # a flood of made-up routers must not push out the real ones (RFC 6104 has the story)
        routers.setdefault(advertisement.router, HeldRouter()).hear(advertisement, now)
        self.touched[advertisement.index] = None


def _key_of(lease: Lease | DHCPv6Lease) -> tuple[str, object]:
    return lease.interface, lease.address if isinstance(lease, Lease) else None


def _with_steady_deadline(before: AddressFact, after: AddressFact) -> AddressFact:
    valid_until = _moved(before.valid_until, after.valid_until)
    preferred_until = _moved(before.preferred_until, after.preferred_until)
    if valid_until == after.valid_until and preferred_until == after.preferred_until:
        return after
    return evolve(after, valid_until=valid_until, preferred_until=preferred_until)


def _with_steady_expiry(before: RouteFact | None, after: RouteFact) -> RouteFact:
    return after if before is None or _moved(before.expires, after.expires) != before.expires else before


def _identical(before: dict[RouteFact, RouteFact], after: dict[RouteFact, RouteFact]) -> bool:
    """Whether the tables hold the same objects in the same order."""
    return len(before) == len(after) and all(map(operator.is_, before, after))


def _moved(before: float, after: float) -> float:
    """The new deadline, or the old one if it has not moved."""
    if before == after or abs(before - after) < SAME_DEADLINE_SECONDS:
        return before
    return after
