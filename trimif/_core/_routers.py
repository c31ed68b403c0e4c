"""What the routers of a link have said and not withdrawn.

"Hosts … merge": what an advertisement does not mention stays as it was (RFC 4861, 6.3.4). So each router has a table of
all it told, each item with its own deadline; a lifetime of zero takes an item back. One that advertises an explicit
provisioning domain (RFC 8801) is kept apart from the same router without: a router may have several.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from ipaddress import IPv6Address
from typing import Any, TypeAlias

from attrs import define, field, frozen

from trimif._facts import AdvertisedDomain, RouterAdvertisement, RouterHeader
from trimif._information import Information, PvdOption

ROUTERS_PER_LINK = 16
ITEMS_PER_ROUTER = 64
"""Bounds on what strangers on a link can make us keep: so many items of one sort."""

TIMELESS = frozenset({Information.MTU, Information.CAPTIVE_PORTAL, Information.RAW_OPTIONS})
"""What an advertisement tells without a lifetime: it lives as long as something else of the router."""

RouterKey: TypeAlias = tuple[IPv6Address, str | None]
"""A router's link-local address, and the id of the explicit domain that it speaks for, None for the implicit one."""


@frozen(eq=False)
class Heard:
    """One item that a router told: a prefix with its flags, the address of a name server, and so on."""

    item: Any
    until: float
    received: float


@define(eq=False)
class HeldRouter:
    """All that one router on a link says of one provisioning domain.

    Attributes:
        option: how it names the domain, None for the implicit one.
        header: None while only options are known.
        items: by what they are about, oldest first.
    """

    option: PvdOption | None = None
    header: RouterHeader | None = None
    header_received: float = -math.inf
    items: dict[Information[Any], dict[Hashable, Heard]] = field(factory=dict)

    def hear(self, advertisement: RouterAdvertisement, now: float) -> None:
        """Merge one advertisement. What is nested in a PvD option comes last: it wins (RFC 8801, 3.1)."""
        self._merge(advertisement, now)
        if advertisement.domain is not None:
            self.option = advertisement.domain.option
            self._merge(advertisement.domain.content, now)
        for table in self.items.values():
            for key in [key for key, heard in table.items() if heard.until <= now]:
                del table[key]
            for key in list(table)[:-ITEMS_PER_ROUTER]:
                del table[key]

    def _merge(self, advertisement: RouterAdvertisement, now: float) -> None:
        if advertisement.header is not None:
            self.header, self.header_received = advertisement.header, now
        for information, key, item, until in _items(advertisement):
            self.items.setdefault(information, {})[key] = Heard(item, until, now)

    def running(self, information: Information[Any], now: float) -> list[Heard]:
        """The items of one sort that have not expired."""
        return [heard for heard in self.items.get(information, {}).values() if heard.until > now]

    def deadlines(self) -> Iterator[float]:
        """Every lifetime that it gave something."""
        if self.header is not None:
            yield self.header.until
        for information, table in self.items.items():
            if information not in TIMELESS:
                yield from (heard.until for heard in table.values())

    def is_alive(self, now: float) -> bool:
        """Whether any of its lifetimes runs."""
        return any(until > now for until in self.deadlines())

    def advertisement(self, index: int, router: IPv6Address) -> RouterAdvertisement:
        """One advertisement that says all of it."""

        def items(information: Information[Any]) -> Iterator[Heard]:
            return iter(self.items.get(information, {}).values())

        def single(information: Information[Any]) -> Any:
            return next((heard.item for heard in items(information)), None)

        content = RouterAdvertisement(index, router)
        return RouterAdvertisement(
            index,
            router,
            self.header,
            single(Information.MTU),
            tuple(heard.item for heard in items(Information.PREFIXES)),
            tuple(heard.item for heard in items(Information.ROUTES)),
            tuple((heard.item, heard.until) for heard in items(Information.DNS_SERVERS)),
            tuple((heard.item, heard.until) for heard in items(Information.SEARCH_DOMAINS)),
            single(Information.CAPTIVE_PORTAL),
            tuple((heard.item, heard.until) for heard in items(Information.PREF64)),
            tuple((heard.item, heard.until) for heard in items(Information.ENCRYPTED_DNS)),
            None if self.option is None else AdvertisedDomain(self.option, content),
            tuple(heard.item for heard in items(Information.RAW_OPTIONS)),
        )


def _items(said: RouterAdvertisement) -> Iterator[tuple[Information[Any], Hashable, Any, float]]:
    for prefix in said.prefixes:
        yield Information.PREFIXES, prefix.prefix, prefix, prefix.valid_until
    for route in said.routes:
        yield Information.ROUTES, route.prefix, route, route.until
    for server, until in said.dns_servers:
        yield Information.DNS_SERVERS, server, server, until
    for name, until in said.search_domains:
        yield Information.SEARCH_DOMAINS, name, name, until
    for nat64, until in said.pref64:
        yield Information.PREF64, nat64, nat64, until
    for encrypted, until in said.encrypted_dns:
        yield Information.ENCRYPTED_DNS, encrypted, encrypted, until
    for option in said.raw_options:
        yield Information.RAW_OPTIONS, option, option, math.inf
    if said.mtu is not None:
        yield Information.MTU, None, said.mtu, math.inf
    if said.captive_portal is not None:
        yield Information.CAPTIVE_PORTAL, None, said.captive_portal, math.inf


def hear(routers: dict[RouterKey, HeldRouter], said: RouterAdvertisement, now: float) -> bool:
    """Enter an advertisement into the table of its link; False if nothing was done.

    The kernel passes on options without saying whether they were in an advertisement for an explicit domain. Where
    trimif hears the router itself, it knows better: then the kernel's part is left out, and taken back.
    """
    key = (said.router, None if said.domain is None else said.domain.option.identifier)
    own = {each: held for each, held in routers.items() if each[0] == said.router}
    if not _is_whole(said):
        if any(held.header is not None and held.is_alive(now) for held in own.values()):
            return False
    else:
        for each, held in own.items():
            if held.header is None:
                del routers[each]
    if key not in routers or not routers[key].is_alive(now):
        if key not in routers and not _make_room(routers, now):
            return False
        routers[key] = HeldRouter()
    routers[key].hear(said, now)
    return True


def _is_whole(said: RouterAdvertisement) -> bool:
    return said.header is not None or (said.domain is not None and said.domain.content.header is not None)


def _make_room(routers: dict[RouterKey, HeldRouter], now: float) -> bool:
    """A flood of made-up routers must not push out the real ones (RFC 6104 has the story): only the dead make room."""
    if len(routers) >= ROUTERS_PER_LINK:
        for key in [key for key, held in routers.items() if not held.is_alive(now)]:
            del routers[key]
    return len(routers) < ROUTERS_PER_LINK
