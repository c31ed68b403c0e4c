"""What systemd-networkd heard from routers, as the router advertisements that it must have been (RFC 4861).

It doesn't tell how long a name server or a domain may be used: as long as anything else that the router said, then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import TypeVar

from attrs import evolve

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._wire.domain_names import check_domain_name
from trimif._wire.networkd_json import (
    Deadline,
    Item,
    address_of,
    collect,
    encrypted_server,
    items_of,
    moment,
    network_of,
    number_of,
    of_source,
    router_of,
    text_of,
)

__all__ = ["read_routers", "withdrawing"]

DEFAULT = IPv6Network("::/0")
PREFERENCES = {1: 1, 3: -1}
"""A route's preference, as it is on the wire (RFC 4191, 2.1); other numbers are medium."""

K = TypeVar("K")
V = TypeVar("V")


def read_routers(link: Item, index: int, deadline: Deadline) -> tuple[RouterAdvertisement, ...]:
    """Everything that came from routers, one advertisement for each.

    Of the header only the lifetime is told. networkd asks for DHCPv6 because a router said so: the flags M and O
    are what it got by asking.
    """
    managed = any(True for _ in of_source(items_of(link, "Addresses"), "DHCPv6"))
    other = managed or any(True for _ in of_source(items_of(link, "DNS"), "DHCPv6"))
    told = {
        name: [*of_source(items_of(link, name), "NDisc")]
        for name in ("Addresses", "Routes", "DNS", "SearchDomains", "DNR")
    }
    told["PREF64"] = [*items_of(link, "NDisc", "PREF64")]
    routers = sorted({*collect(router_of, (item for items in told.values() for item in items))})
    found = []
    for router in routers:
        parts = {name: [*_from_router(router, items)] for name, items in told.items()}
        found.append(_advertisement(RouterAdvertisement(index, router), parts, deadline, (managed, other)))
    return tuple(found)


def _from_router(router: IPv6Address, items: Iterable[Item]) -> Iterable[Item]:
    return (item for item in items if [router] == [*collect(router_of, [item])])


def _advertisement(
    empty: RouterAdvertisement, parts: Mapping[str, list[Item]], deadline: Deadline, flags: tuple[bool, bool]
) -> RouterAdvertisement:
    routes = [*collect(lambda item: _route(item, deadline), parts["Routes"])]
    default = next((each for each in routes if each.prefix == DEFAULT), None)
    prefixes = _prefixes(parts, deadline)
    pref64 = collect(lambda item: (_prefix(item, "Prefix", "PrefixLength"), _until(item, deadline)), parts["PREF64"])
    lifetimes = [*(each.until for each in routes), *(each.valid_until for each in prefixes)]
    until = max(lifetimes, default=math.inf)
    return evolve(
        empty,
        header=None if default is None else RouterHeader(default.until, *flags, preference=default.preference),
        prefixes=prefixes,
        routes=tuple(each for each in routes if each.prefix != DEFAULT),
        dns_servers=tuple((server, until) for server in dict.fromkeys(collect(_server, parts["DNS"]))),
        search_domains=tuple((name, until) for name in dict.fromkeys(collect(_domain, parts["SearchDomains"]))),
        encrypted_dns=tuple((server, until) for server in collect(encrypted_server, parts["DNR"])),
        pref64=tuple(pref64),
    )


def _until(item: Item, deadline: Deadline) -> float:
    return moment(item, "LifetimeUSec", deadline)


def _prefix(item: Item, key: str, length_key: str) -> IPv6Network:
    network = network_of(item, key, length_key)
    if not isinstance(network, IPv6Network):
        raise MalformedInput(f"{network} is no IPv6 prefix")
    return network


def _route(item: Item, deadline: Deadline) -> AdvertisedRoute:
    """A route through the router. One without gateway is the link's prefix."""
    if "Gateway" not in item:
        raise MalformedInput("the route does not lead through the router")
    preference = PREFERENCES.get(number_of(item, "Preference"), 0) if "Preference" in item else 0
    return AdvertisedRoute(_prefix(item, "Destination", "DestinationPrefixLength"), preference, _until(item, deadline))


def _prefixes(parts: Mapping[str, list[Item]], deadline: Deadline) -> tuple[AdvertisedPrefix, ...]:
    """The link's prefixes: those with a route are on the link, those with an address are for autonomous addresses."""
    on_link = (item for item in parts["Routes"] if "Gateway" not in item)
    routes = dict(collect(lambda item: (_prefix(item, "Destination", "DestinationPrefixLength"), item), on_link))
    addresses = dict(collect(lambda item: (_prefix(item, "Address", "PrefixLength"), item), parts["Addresses"]))
    found = []
    for prefix in sorted({*routes, *addresses}):
        route, address = routes.get(prefix, {}), addresses.get(prefix, {})
        valid = moment(route, "LifetimeUSec", deadline) if route else moment(address, "ValidLifetimeUsec", deadline)
        preferred = min(valid, moment(address, "PreferredLifetimeUsec", deadline))
        found.append(AdvertisedPrefix(prefix, bool(route), bool(address), valid, preferred))
    return tuple(found)


def _server(item: Item) -> IPv6Address:
    address = address_of(item, "Address")
    if not isinstance(address, IPv6Address):
        raise MalformedInput(f"{address} is no server of IPv6")
    return address


def _domain(item: Item) -> str:
    return check_domain_name(text_of(item, "Domain"))


# ---------------------------------------------------------------- what is not told any more


def withdrawing(before: RouterAdvertisement, after: RouterAdvertisement | None, now: float) -> RouterAdvertisement:
    """What is told now, and of what was told before and isn't any more, that it has ended.

    An advertisement leaves as it was what it doesn't mention (RFC 4861, 6.3.4); networkd's account is the whole.
    """
    after = after or RouterAdvertisement(before.index, before.router)
    header = after.header or (before.header and RouterHeader(until=now))
    return evolve(
        after,
        header=header,
        prefixes=_ending(before.prefixes, after.prefixes, lambda p: p.prefix, lambda p: _ended_prefix(p, now)),
        routes=_ending(before.routes, after.routes, lambda r: r.prefix, lambda r: evolve(r, until=now)),
        dns_servers=_ending(before.dns_servers, after.dns_servers, _first, lambda pair: (pair[0], now)),
        search_domains=_ending(before.search_domains, after.search_domains, _first, lambda pair: (pair[0], now)),
        encrypted_dns=_ending(before.encrypted_dns, after.encrypted_dns, _first, lambda pair: (pair[0], now)),
        pref64=_ending(before.pref64, after.pref64, _first, lambda pair: (pair[0], now)),
    )


def _first(pair: tuple[K, float]) -> K:
    return pair[0]


def _ended_prefix(prefix: AdvertisedPrefix, now: float) -> AdvertisedPrefix:
    return evolve(prefix, valid_until=now, preferred_until=now)


def _ending(
    before: Iterable[V], after: tuple[V, ...], key: Callable[[V], object], end: Callable[[V], V]
) -> tuple[V, ...]:
    present = {key(each) for each in after}
    return (*after, *(end(each) for each in before if key(each) not in present))
