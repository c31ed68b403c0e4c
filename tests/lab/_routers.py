"""For the tests of router advertisements: what the sources hear of them in the lab's host, in their own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from typing import TypeVar

import trio
from attrs import evolve

from trimif._facts import AdvertisedDomain, Fact, RouterAdvertisement, RouterHeader
from trimif._sources.netlink import NetlinkSource
from trimif._sources.router_advertisements import RouterAdvertisementSource
from trimif._wire.neighbour_discovery import encode_router_advertisement, parse_router_advertisement

T = TypeVar("T")

PASSED_ON = (25, 31, 37, 38)
"""The options that the kernel passes on, besides that of prefixes (its ``ndisc_is_useropt``)."""


class Ear:
    """Collects the advertisements that one source reports, with lifetimes in place of deadlines."""

    def __init__(self) -> None:
        self.heard: list[RouterAdvertisement] = []
        self._news = trio.Event()

    def report(self, facts: Sequence[Fact]) -> None:
        now = trio.current_time()
        self.heard += [in_lifetimes(fact, now) for fact in facts if isinstance(fact, RouterAdvertisement)]
        self._news.set()

    async def when(self, condition: Callable[[], T | None], *, seconds: float = 10) -> T:
        """Wait until the condition gives something; it is looked at with each report."""
        with trio.fail_after(seconds):
            while not (found := condition()):
                self._news = trio.Event()
                await self._news.wait()
        return found

    async def of(self, router: IPv6Address, domain: str | None = None) -> RouterAdvertisement:
        """The last advertisement of a router, for an explicit domain or for its implicit one."""
        return await self.when(lambda: last(each for each in self.heard if whose(each) == (router, domain)))

    def union(self, router: IPv6Address) -> RouterAdvertisement:
        """What all messages of a router say together."""
        messages = [each for each in self.heard if each.router == router]
        return evolve(
            messages[-1],
            captive_portal=last(each.captive_portal for each in messages if each.captive_portal),
            prefixes=unique(item for each in messages for item in each.prefixes),
            dns_servers=unique(item for each in messages for item in each.dns_servers),
            search_domains=unique(item for each in messages for item in each.search_domains),
            pref64=unique(item for each in messages for item in each.pref64),
            raw_options=unique(item for each in messages for item in each.raw_options),
        )


def whose(advertisement: RouterAdvertisement) -> tuple[IPv6Address, str | None]:
    domain = advertisement.domain
    return advertisement.router, None if domain is None else domain.option.identifier


def last(items: Iterable[T]) -> T | None:
    found = list(items)
    return found[-1] if found else None


def unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def in_lifetimes(advertisement: RouterAdvertisement, now: float) -> RouterAdvertisement:
    """Whole seconds from now: by way of the wire, which has no others."""
    header = advertisement.header or RouterHeader(now)
    octets = encode_router_advertisement(evolve(advertisement, header=header), now)
    told = parse_router_advertisement(advertisement.index, advertisement.router, octets, 0.0)
    return told if advertisement.header else evolve(told, header=None)


def visible_to_the_kernel(advertisement: RouterAdvertisement) -> RouterAdvertisement:
    """The part of an advertisement that the kernel passes on to everybody."""
    return RouterAdvertisement(
        advertisement.index,
        advertisement.router,
        prefixes=advertisement.prefixes,
        dns_servers=advertisement.dns_servers,
        search_domains=advertisement.search_domains,
        captive_portal=advertisement.captive_portal,
        pref64=advertisement.pref64,
        raw_options=tuple(option for option in advertisement.raw_options if option.code in PASSED_ON),
    )


def sent(advertisement: RouterAdvertisement, index: int, router: IPv6Address) -> RouterAdvertisement:
    """What was handed to a server, as it is to be heard by the interface of that index."""
    said = evolve(advertisement, index=index, router=router)
    if said.domain is None:
        return said
    content = evolve(said.domain.content, index=index, router=router)
    return evolve(said, domain=AdvertisedDomain(said.domain.option, content))


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Ear, Ear]]:
    """Both sources at work in the thread's namespace: what the raw socket hears, and what the kernel passes on."""
    raw, kernel = Ear(), Ear()
    async with trio.open_nursery() as nursery:
        await nursery.start(NetlinkSource().run, kernel.report)
        await nursery.start(RouterAdvertisementSource().run, raw.report)
        yield raw, kernel
        nursery.cancel_scope.cancel("the test is done")
