"""Contributions of whoever set an interface up by hand: addresses and routes that nobody leased or advertised.

A VPN's tunnel is of this sort. What a person or a manager knows besides (its name servers) is told by
`StaticConfiguration` and `LinkConfiguration`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trimif._core._evidence import Contribution, Scene, datums, family_of, frozen_data, network_of, of_family, put_in
from trimif._core._host import HeldAddress, HeldRoute, Received
from trimif._facts import LinkConfiguration, RouteProtocol
from trimif._information import Datum, Information
from trimif._model import ElementType, Family, IPAddress, Origin, Route

MAIN_TABLE = 254
KERNEL = Origin("kernel")
ABOUT_THE_INTERFACE = (Information.METERED, Information.LINK_TYPE)
"""These are said of the interface, not of a domain's configuration."""

Items = dict[Information[Any], list[Datum[Any]]]


def contributions_of_people(scene: Scene, unclaimed: list[HeldAddress]) -> Iterator[Contribution]:
    """One for each family that has addresses which no other contribution claims, or that a person configured."""
    settled = [each for each in unclaimed if not scene.clock.running(each.settled_at)]
    known = scene.host.static.get(scene.name)
    for family in Family:
        held = [each for each in settled if family_of(each.fact.address) is family]
        configured = known is not None and any(family_of(each.fact.address) is family for each in scene.held)
        if not held and not configured:
            continue
        data: Items = {}
        if known is not None:
            origin = Origin("static")
            servers = of_family(known.fact.dns_servers, family)
            told = (
                (Information.DNS_SERVERS, servers),
                (Information.SEARCH_DOMAINS, known.fact.search_domains),
                (Information.SPLIT_DOMAINS, known.fact.split_domains),
            )
            put_in(data, told, Datum(None, origin, known.received))
        if held:
            _put_configurations(scene, data, family)
            _put_kernel(scene, data, family, held)
        origin = KERNEL if held else Origin("static")
        claims = frozenset[IPAddress](each.fact.address for each in held)
        yield Contribution(ElementType.STATIC, family, origin, frozen_data(data), claims)


def configurations_of(scene: Scene) -> Iterator[Received[LinkConfiguration]]:
    """What managers told about the interface."""
    for told in scene.host.configurations.values():
        yield from (held for held in told if held.fact.interface == scene.name)


def _put_configurations(scene: Scene, data: Items, family: Family) -> None:
    for held in configurations_of(scene):
        for information, value in held.fact.data:
            if information not in ABOUT_THE_INTERFACE:
                told = of_family(value, family) if isinstance(value, tuple) else value
                put_in(data, ((information, told),), Datum(None, held.fact.origin, held.received))


def _put_kernel(scene: Scene, data: Items, family: Family, held: list[HeldAddress]) -> None:
    """The kernel's own tables: routes that were set by hand, the networks of the addresses, the MTU."""
    for route in _set_by_hand(scene, family):
        value, received = Route(route.fact.destination, route.fact.gateway), route.received
        expires = route.fact.expires
        data.setdefault(Information.ROUTES, []).append(Datum(value, KERNEL, received, expires))
        if route.fact.gateway and route.fact.destination.prefixlen == 0:
            data.setdefault(Information.ROUTERS, []).append(Datum(route.fact.gateway, KERNEL, received, expires))
    networks: dict[Any, float] = {}
    for each in held:
        networks.setdefault(network_of(each.fact), each.received)
    prefixes = [Datum(network, KERNEL, received) for network, received in networks.items()]
    data.setdefault(Information.PREFIXES, []).extend(prefixes)
    link, received = scene.host.links[scene.index], scene.host.link_received[scene.index]
    data.setdefault(Information.MTU, []).extend(datums([link.mtu], KERNEL, received, float("inf")))


def _set_by_hand(scene: Scene, family: Family) -> list[HeldRoute]:
    """The routes that neither the kernel made for an address nor a router advertised, best first."""
    others = (RouteProtocol.KERNEL, RouteProtocol.ROUTER_ADVERTISEMENT, RouteProtocol.REDIRECT)
    routes = [
        route
        for route in scene.host.routes.get(scene.index, {}).values()
        if family_of(route.fact.destination) is family
        and route.fact.protocol not in others
        and scene.clock.running(route.fact.expires)
    ]
    return sorted(routes, key=lambda route: (route.fact.table != MAIN_TABLE, route.fact.metric))
