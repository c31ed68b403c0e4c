"""What the tables mean for one interface at one moment: its configuration elements and the addresses they claim.

DESIGN: a PD exists while it has an element: RA while any of its lifetimes runs, DHCPv4 while the lease is valid and
its address present, STATIC for what no other element claims. Each function here finds one type of element. Every
deadline that is looked at is noted, so that the core knows when to look again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, TypeVar

from attrs import evolve, frozen

from trimif._core._host import HeldAddress, HeldRouter, Host
from trimif._facts import AddressFact, AddressProtocol, Lease, RouteFact, RouteProtocol
from trimif._information import Information
from trimif._model import ElementType, Family, IPAddress, IPNetwork, Origin, Route

CARRIER_SECONDS = 5.0
"""How long domains outlive the loss of carrier: a cable that is plugged in again at once ends nothing."""
MAIN_TABLE = 254
NETWORKS = 4096
"""How many networks are remembered."""

T = TypeVar("T")
DEFAULT: dict[Family, IPNetwork] = {Family.IPV4: IPv4Network("0.0.0.0/0"), Family.IPV6: IPv6Network("::/0")}


@frozen
class Element:
    """A configuration element of one family: the content of what the draft calls RA, DHCPv6, DHCPv4.

    Attributes:
        data: what it says, by information identifier; identifiers that it says nothing about are absent.
        claims: the addresses on the interface that came from it.
    """

    type: ElementType
    family: Family
    origin: Origin
    data: Mapping[Information[Any], Any]
    claims: frozenset[IPAddress] = frozenset()


@frozen
class Evidence:
    """Everything that grouping needs to form the domains of an interface.

    Attributes:
        addresses: the usable ones that some element claims, in the kernel's order.
        until: the first moment at which this may change by itself.
    """

    elements: tuple[Element, ...] = ()
    addresses: tuple[AddressFact, ...] = ()
    until: float = math.inf


class _Clock:
    """The moment of looking, and the next deadline that was looked at."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.until = math.inf

    def running(self, deadline: float) -> bool:
        if deadline <= self.now:
            return False
        if deadline < self.until:
            self.until = deadline
        return True


def family_of(thing: IPAddress | IPNetwork) -> Family:
    """The address family of an address or network."""
    return Family.IPV4 if isinstance(thing, IPv4Address | IPv4Network) else Family.IPV6


def gather(host: Host, index: int, now: float) -> Evidence:
    """Look at one interface. An interface that is down, or long without carrier, has nothing (DESIGN §5)."""
    link, clock = host.links[index], _Clock(now)
    if not link.up:
        return Evidence()
    since = host.no_carrier_since.get(index)
    if since is not None and not clock.running(since + CARRIER_SECONDS):
        return Evidence()
    held = [each for each in host.addresses.get(index, {}).values() if _is_usable(each, clock)]
    usable = [each.fact for each in held]
    dynamic = [*_router_advertisements(host, index, usable, clock), *_leases(host, index, usable, clock)]
    claimed = _claimed(dynamic)
    unclaimed = [each for each in held if each.fact.address not in claimed] if claimed else held
    elements = [*dynamic, *_static(host, index, unclaimed, clock)]
    claimed = _claimed(elements)
    addresses = [_no_longer_than_leased(fact, dynamic) for fact in usable if fact.address in claimed]
    return Evidence(tuple(elements), tuple(addresses), clock.until)


def _claimed(elements: list[Element]) -> frozenset[IPAddress]:
    return frozenset[IPAddress]().union(*(element.claims for element in elements))


def _no_longer_than_leased(fact: AddressFact, elements: list[Element]) -> AddressFact:
    """Some clients set a leased address for ever; it is the lease that says how long it is valid."""
    leased = [e for e in elements if e.type is ElementType.DHCPV4 and fact.address in e.claims]
    if not leased:
        return fact
    until = min(element.data[Information.VALID_UNTIL] for element in leased)
    if until >= fact.valid_until and until >= fact.preferred_until:
        return fact
    return evolve(fact, valid_until=min(until, fact.valid_until), preferred_until=min(until, fact.preferred_until))


def _is_usable(held: HeldAddress, clock: _Clock) -> bool:
    """Link-local addresses alone make no PD; tentative and dadfailed addresses are not announced (DESIGN §5)."""
    return not held.fact.tentative and not held.link_local and clock.running(held.fact.valid_until)


# ---------------------------------------------------------------- RA


def _router_advertisements(host: Host, index: int, usable: list[AddressFact], clock: _Clock) -> Iterator[Element]:
    heard = host.routers.get(index, {})
    routers = sorted(heard.items(), key=lambda item: -_preference(item[1]))  # stable: equals in order of arrival
    kernel = [
        route
        for route in host.routes.get(index, {}).values()
        if route.protocol == RouteProtocol.ROUTER_ADVERTISEMENT and clock.running(route.expires)
    ]
    prefixes = [
        each.prefix for _, held in routers for each in held.prefixes.values() if clock.running(each.valid_until)
    ]
    autonomous = [fact for fact in usable if _is_autonomous(fact, prefixes)]
    if not (routers or kernel or autonomous):
        return
    data = _without_nothing(
        {
            Information.DNS_SERVERS: _unique(
                server for _, held in routers for server, until in held.dns_servers.items() if clock.running(until)
            ),
            Information.SEARCH_DOMAINS: _unique(
                name for _, held in routers for name, until in held.search_domains.items() if clock.running(until)
            ),
            Information.ROUTERS: _unique([*_default_routers(routers, clock), *_kernel_routers(kernel)]),
            Information.ROUTES: _unique([*_advertised_routes(routers, clock), *map(_route, kernel)]),
            Information.PREFIXES: _unique([*prefixes, *map(_network, autonomous)]),
            Information.MTU: min((held.mtu for _, held in routers if held.mtu is not None), default=None),
        }
    )
    deadlines = [*_lifetimes(routers, kernel, clock), *(fact.valid_until for fact in autonomous)]
    if not deadlines:  # "RA while any of its lifetimes runs"; an MTU has none
        return
    data[Information.VALID_UNTIL] = max(deadlines)
    origin = Origin("router advertisement", routers[0][0]) if routers else Origin("kernel", _kernel_router(kernel))
    claims = frozenset(fact.address for fact in autonomous)
    yield Element(ElementType.RA, Family.IPV6, origin, data, claims)


def _is_autonomous(fact: AddressFact, prefixes: list[IPv6Network]) -> bool:
    if isinstance(fact.address, IPv4Address):
        return False
    return fact.protocol == AddressProtocol.ROUTER_ADVERTISEMENT or any(fact.address in prefix for prefix in prefixes)


def _preference(router: HeldRouter) -> int:
    return router.header.preference if router.header is not None else 0


def _default_routers(routers: list[tuple[IPv6Address, HeldRouter]], clock: _Clock) -> Iterator[IPAddress]:
    for address, held in routers:
        if held.header is not None and clock.running(held.header.until):
            yield address


def _advertised_routes(routers: list[tuple[IPv6Address, HeldRouter]], clock: _Clock) -> Iterator[Route]:
    for address in _default_routers(routers, clock):
        yield Route(DEFAULT[Family.IPV6], address)
    for address, held in routers:
        for each in held.routes.values():
            if clock.running(each.until):
                yield Route(each.prefix, address)


def _kernel_routers(kernel: list[RouteFact]) -> Iterator[IPAddress]:
    for route in sorted(kernel, key=lambda route: route.metric):
        if route.gateway is not None and route.destination.prefixlen == 0:
            yield route.gateway


def _kernel_router(kernel: list[RouteFact]) -> IPAddress | None:
    return next(_kernel_routers(kernel), next((route.gateway for route in kernel if route.gateway), None))


def _lifetimes(
    routers: list[tuple[IPv6Address, HeldRouter]], kernel: list[RouteFact], clock: _Clock
) -> Iterator[float]:
    for _, held in routers:
        deadlines = [held.header.until] if held.header is not None else []
        deadlines += [each.valid_until for each in held.prefixes.values()]
        deadlines += [each.until for each in held.routes.values()]
        deadlines += [*held.dns_servers.values(), *held.search_domains.values()]
        yield from filter(clock.running, deadlines)
    yield from (route.expires for route in kernel)


# ---------------------------------------------------------------- DHCPv4


def _leases(host: Host, index: int, usable: list[AddressFact], clock: _Clock) -> Iterator[Element]:
    if not any(host.leases.values()):
        return
    present = {fact.address for fact in usable}
    leases = [
        lease
        for each in host.leases.values()
        for lease in each
        if isinstance(lease, Lease)
        and lease.address in present
        and _is_leased_here(host, index, lease)
        and clock.running(lease.valid_until)
    ]
    if not leases:
        return
    data = _without_nothing(
        {
            Information.DNS_SERVERS: _unique(server for lease in leases for server in lease.dns_servers),
            Information.SEARCH_DOMAINS: _unique(name for lease in leases for name in lease.search_domains),
            Information.ROUTERS: _unique(router for lease in leases for router in _lease_routers(lease)),
            Information.ROUTES: _unique(route for lease in leases for route in _lease_routes(lease)),
            Information.PREFIXES: _unique(
                ip_network((lease.address, lease.prefix_length), strict=False) for lease in leases
            ),
            Information.MTU: min((lease.mtu for lease in leases if lease.mtu is not None), default=None),
            Information.NTP_SERVERS: _unique(server for lease in leases for server in lease.ntp_servers),
            Information.VALID_UNTIL: max(lease.valid_until for lease in leases),
        }
    )
    claims = frozenset[IPAddress](lease.address for lease in leases)
    yield Element(ElementType.DHCPV4, Family.IPV4, leases[0].origin, data, claims)


def _is_leased_here(host: Host, index: int, lease: Lease) -> bool:
    """A lease names its interface as the client knew it. After a rename only the address still tells."""
    if host.links[index].name == lease.interface:
        return True
    return not any(
        link.name == lease.interface
        and any(address == lease.address for address, _ in host.addresses.get(link.index, {}))
        for link in host.links.values()
    )


def _lease_routes(lease: Lease) -> Iterator[Route]:
    """RFC 3442: "If the DHCP server returns both a Classless Static Routes option and a Router option, the DHCP
    client MUST ignore the Router option."
    """
    if lease.routes:
        yield from lease.routes
    else:
        yield from (Route(DEFAULT[Family.IPV4], router) for router in lease.routers)


def _lease_routers(lease: Lease) -> Iterator[IPAddress]:
    for route in _lease_routes(lease):
        if route.destination.prefixlen == 0 and route.gateway is not None:
            yield route.gateway


# ---------------------------------------------------------------- STATIC


def _static(host: Host, index: int, unclaimed: list[HeldAddress], clock: _Clock) -> Iterator[Element]:
    settled = [each.fact for each in unclaimed if not clock.running(each.settled_at)]
    link = host.links[index]
    known = host.static.get(link.name)
    for family in Family:
        facts = [fact for fact in settled if family_of(fact.address) is family]
        configured = known is not None and any(
            family_of(each.fact.address) is family and _is_usable(each, clock)
            for each in host.addresses.get(index, {}).values()
        )
        if not facts and not configured:
            continue
        routes = _unique(map(_route, _set_by_hand(host, index, family))) if facts else ()
        data = _without_nothing(
            {
                Information.DNS_SERVERS: _of_family(known.dns_servers, family) if known else (),
                Information.SEARCH_DOMAINS: _unique(known.search_domains) if known else (),
                Information.ROUTERS: _unique(
                    route.gateway for route in routes if route.gateway and route.destination.prefixlen == 0
                ),
                Information.ROUTES: routes,
                Information.PREFIXES: _unique(map(_network, facts)),
                Information.MTU: link.mtu if facts else None,
            }
        )
        origin = Origin("kernel") if facts else Origin("static")
        yield Element(ElementType.STATIC, family, origin, data, frozenset(fact.address for fact in facts))


def _set_by_hand(host: Host, index: int, family: Family) -> list[RouteFact]:
    """The routes that neither the kernel made for an address nor a router advertised, best first."""
    return sorted(
        (
            route
            for route in host.routes.get(index, {}).values()
            if family_of(route.destination) is family
            and route.protocol not in (RouteProtocol.KERNEL, RouteProtocol.ROUTER_ADVERTISEMENT, RouteProtocol.REDIRECT)
        ),
        key=lambda route: (route.table != MAIN_TABLE, route.metric),
    )


# ---------------------------------------------------------------- small things


def _route(fact: RouteFact) -> Route:
    return Route(fact.destination, fact.gateway)


def _network(fact: AddressFact) -> IPNetwork:
    host_bits = fact.address.max_prefixlen - fact.prefix_length
    return _network_of(fact.address.version, int(fact.address) >> host_bits, fact.prefix_length)


@lru_cache(NETWORKS)
def _network_of(version: int, bits: int, prefix_length: int) -> IPNetwork:
    """Remembered: many addresses share one network, and making one is slow."""
    if version == 4:
        return IPv4Network((bits << 32 - prefix_length, prefix_length))
    return IPv6Network((bits << 128 - prefix_length, prefix_length))


def _of_family(addresses: tuple[IPAddress, ...], family: Family) -> tuple[IPAddress, ...]:
    return tuple(address for address in addresses if family_of(address) is family)


def _unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def _without_nothing(data: dict[Information[Any], Any]) -> dict[Information[Any], Any]:
    return {information: value for information, value in data.items() if value is not None and value != ()}
