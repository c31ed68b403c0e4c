"""Contributions of routers: what they advertised, and what the kernel made of it.

A process without privilege knows a router only by the options that the kernel passes on, by its routes and by the
addresses that were made of its prefixes. All of that is put to the router's own words where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from trimif._core._evidence import DEFAULT, Contribution, Scene, frozen_data, network_of
from trimif._core._host import HeldAddress, HeldRoute
from trimif._core._routers import TIMELESS, HeldRouter, RouterKey
from trimif._facts import AddressProtocol, RouteProtocol
from trimif._information import Datum, Information
from trimif._model import ElementType, Family, IPAddress, IPNetwork, Origin, Route

Items = dict[Information[Any], list[Datum[Any]]]


def contributions_of_routers(scene: Scene, leased: frozenset[IPAddress]) -> Iterator[Contribution]:
    """One for each router and provisioning domain, preferred ones first, each while any of its lifetimes runs.

    Args:
        leased: addresses that came by DHCPv6, even if they are in a router's prefix.
    """
    told = sorted(scene.host.routers.get(scene.index, {}).items(), key=lambda each: -_preference(each[1]))
    kernel = _kernel_routes(scene)
    addresses = {each.fact.address: each for each in _autonomous(scene, kernel, leased)}
    for key, held in told:
        mine = [route for route in kernel if _is_of(scene, route, key[0], held)] if key[1] is None else []
        yield from _contribution(scene, key, held, mine, addresses)
    claimed = {address for _, held in told for address in _in_prefixes(scene, held, addresses)}
    routes = [route for route in kernel if not any(_is_of(scene, route, key[0], held) for key, held in told)]
    yield from _kernel_only(routes, [each for address, each in addresses.items() if address not in claimed])


def _is_of(scene: Scene, route: HeldRoute, router: IPv6Address, held: HeldRouter) -> bool:
    """Whether a router that was heard is the reason for a route: it leads through it, or to one of its prefixes."""
    if route.fact.gateway is not None:
        return route.fact.gateway == router
    return route.fact.destination in _prefixes(scene, held)


def _preference(router: HeldRouter) -> int:
    return router.header.preference if router.header is not None else 0


def _kernel_routes(scene: Scene) -> list[HeldRoute]:
    routes = [
        route
        for route in scene.host.routes.get(scene.index, {}).values()
        if route.fact.protocol == RouteProtocol.ROUTER_ADVERTISEMENT and scene.clock.running(route.fact.expires)
    ]
    return sorted(routes, key=lambda route: route.fact.metric)


# ---------------------------------------------------------------- addresses


def _autonomous(scene: Scene, kernel: list[HeldRoute], leased: frozenset[IPAddress]) -> Iterator[HeldAddress]:
    """The addresses that came from some router, by the kernel's word or because they are in a prefix of one.

    Managers that make addresses of prefixes themselves say of the route to the prefix where it came from, and not of
    the address.
    """
    routers = scene.host.routers.get(scene.index, {}).values()
    prefixes: list[IPNetwork] = [prefix for held in routers for prefix in _prefixes(scene, held)]
    prefixes += [route.fact.destination for route in kernel if _is_to_prefix(route)]
    for each in scene.held:
        fact = each.fact
        if isinstance(fact.address, IPv4Address):
            continue
        of_router = fact.address not in leased and any(fact.address in prefix for prefix in prefixes)
        if of_router or fact.protocol == AddressProtocol.ROUTER_ADVERTISEMENT:
            yield each


def _is_to_prefix(route: HeldRoute) -> bool:
    """The route to a prefix of the link; a default route without a gateway, as PPP has it, is none."""
    return route.fact.gateway is None and route.fact.destination.prefixlen > 0


def _in_prefixes(scene: Scene, held: HeldRouter, addresses: dict[IPAddress, HeldAddress]) -> list[IPAddress]:
    prefixes = _prefixes(scene, held)
    return [address for address in addresses if any(address in prefix for prefix in prefixes)]


def _prefixes(scene: Scene, held: HeldRouter) -> list[IPNetwork]:
    return [heard.item.prefix for heard in held.running(Information.PREFIXES, scene.clock.now)]


# ---------------------------------------------------------------- a router that was heard


def _contribution(
    scene: Scene, key: RouterKey, held: HeldRouter, kernel: list[HeldRoute], addresses: dict[IPAddress, HeldAddress]
) -> Iterator[Contribution]:
    router, origin = key[0], Origin("router advertisement", key[0])
    claims = _in_prefixes(scene, held, addresses)
    deadlines = [
        *filter(scene.clock.running, held.deadlines()),
        *(route.fact.expires for route in kernel),
        *(addresses[address].fact.valid_until for address in claims),
    ]
    if not deadlines:  # "RA while any of its lifetimes runs"
        return
    data = _said(scene, held, origin)
    if held.header is not None and scene.clock.running(held.header.until):
        _put_default(data, Datum(router, origin, held.header_received, held.header.until))
    _put_routes(scene, data, held, router, origin)
    _put_kernel_routes(data, kernel)
    if held.option is not None:
        data[Information.PVD] = [Datum(held.option, origin, held.header_received, max(deadlines))]
    received = max((each.received for items in data.values() for each in items), default=held.header_received)
    data[Information.VALID_UNTIL] = [Datum(max(deadlines), origin, received, max(deadlines))]
    yield Contribution(
        ElementType.RA,
        Family.IPV6,
        origin,
        frozen_data(data),
        frozenset(claims),
        router,
        held.option,
        None if held.header is None else held.header.managed,
        None if held.header is None else held.header.other_configuration,
    )


def _said(scene: Scene, held: HeldRouter, origin: Origin) -> Items:
    """What needs no more than to be handed on."""
    data: Items = {}
    for information, heard in held.items.items():
        if information is Information.ROUTES:
            continue
        items = [each for each in heard.values() if scene.clock.running(each.until)]
        values = [each.item.prefix if information is Information.PREFIXES else each.item for each in items]
        data[information] = [
            Datum(value, origin, each.received, each.until) for value, each in zip(values, items, strict=True)
        ]
    if Information.ENCRYPTED_DNS in data:
        data[Information.ENCRYPTED_DNS].sort(key=lambda datum: datum.value.priority)  # smaller is better (RFC 9463)
    return {information: data[information] for information in sorted(data, key=lambda each: each in TIMELESS)}


def _put_default(data: Items, router: Datum[IPv6Address]) -> None:
    data.setdefault(Information.ROUTERS, []).append(router)
    route = Route(DEFAULT[Family.IPV6], router.value)
    data.setdefault(Information.ROUTES, []).append(Datum(route, router.origin, router.received, router.valid_until))


def _put_routes(scene: Scene, data: Items, held: HeldRouter, router: IPv6Address, origin: Origin) -> None:
    for heard in held.items.get(Information.ROUTES, {}).values():
        if scene.clock.running(heard.until):
            route = Route(heard.item.prefix, router)
            data.setdefault(Information.ROUTES, []).append(Datum(route, origin, heard.received, heard.until))


# ---------------------------------------------------------------- what only the kernel tells


def _put_kernel_routes(data: Items, kernel: list[HeldRoute]) -> None:
    for route in kernel:
        fact, origin = route.fact, Origin("kernel", route.fact.gateway)
        datum: Datum[Any] = Datum(Route(fact.destination, fact.gateway), origin, route.received, fact.expires)
        data.setdefault(Information.ROUTES, []).append(datum)
        if fact.gateway is not None and fact.destination.prefixlen == 0:
            data.setdefault(Information.ROUTERS, []).append(
                Datum(fact.gateway, origin, route.received, fact.expires),
            )


def _kernel_only(kernel: list[HeldRoute], addresses: list[HeldAddress]) -> Iterator[Contribution]:
    """The kernel's routes through routers that were not heard, each router by itself.

    Which of them announced the prefixes of the link is not known: those and their addresses go with the first.
    """
    rest: list[HeldRoute] = [route for route in kernel if route.fact.gateway is None]
    gateways = list(dict.fromkeys(route.fact.gateway for route in kernel if route.fact.gateway is not None))
    for gateway in gateways:
        yield _unheard(gateway, [*(each for each in kernel if each.fact.gateway == gateway), *rest], addresses)
        rest, addresses = [], []
    if rest or addresses:
        yield _unheard(None, rest, addresses)


def _unheard(gateway: IPAddress | None, kernel: list[HeldRoute], addresses: list[HeldAddress]) -> Contribution:
    origin, data = Origin("kernel", gateway), Items()
    _put_kernel_routes(data, kernel)
    data[Information.PREFIXES] = [
        Datum(network_of(each.fact), origin, each.received, each.fact.valid_until) for each in addresses
    ] + [
        Datum(each.fact.destination, origin, each.received, each.fact.expires) for each in kernel if _is_to_prefix(each)
    ]
    deadlines = [*(route.fact.expires for route in kernel), *(each.fact.valid_until for each in addresses)]
    received = max([*(route.received for route in kernel), *(each.received for each in addresses)])
    data[Information.VALID_UNTIL] = [Datum(max(deadlines), origin, received, max(deadlines))]
    claims = frozenset(each.fact.address for each in addresses)
    router = gateway if isinstance(gateway, IPv6Address) else None
    return Contribution(ElementType.RA, Family.IPV6, origin, frozen_data(data), claims, router)
