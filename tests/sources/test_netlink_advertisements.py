"""What the kernel passes on of router advertisements, and the lifetimes that it renews without a word."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

import pytest
import trio
import trio.testing

from trimif._facts import AdvertisedPrefix, AllRoutes, RouteFact, RouterAdvertisement, RouterHeader
from trimif._sources.netlink import NetlinkSource
from trimif._wire.neighbour_discovery import encode_router_advertisement
from trimif.testing._namespaces import Namespace

from .netlink_host import Mirror, configure, following, is_at_rest, until, wait_for_truth

pytestmark = pytest.mark.lab


class Router:
    """Sends router advertisements from the other end of eth0."""

    def __init__(self, namespace: Namespace) -> None:
        index = socket.if_nametoindex("eth0-peer")
        configure(namespace, "address add fe80::a:1/64 dev eth0-peer nodad")
        self._socket = namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        self._socket.bind(("fe80::a:1", 0, 0, index))
        self._everyone = ("ff02::1", 0, 0, index)

    def advertise(self, advertisement: RouterAdvertisement) -> None:
        self._socket.sendto(encode_router_advertisement(advertisement), self._everyone)

    def close(self) -> None:
        self._socket.close()


ROUTER = IPv6Address("fe80::a:1")
PREFIX = IPv6Network("2001:db8:d::/64")


@pytest.fixture
def router(host: Namespace) -> Iterator[Router]:
    configure(host, "route delete ::/0")
    made = Router(host)
    yield made
    made.close()


def default_route(mirror: Mirror) -> RouteFact | None:
    return next((route for route in mirror.routes if route.gateway == ROUTER), None)


async def until_route_lasts(mirror: Mirror, seconds: tuple[float, float]) -> None:
    """Wait until the advertised default route is known with such a lifetime, seen from now."""

    def lasts() -> bool:
        route = default_route(mirror)
        return route is not None and seconds[0] < route.expires - trio.current_time() < seconds[1]

    await until(lasts)


async def test_options_of_an_advertisement(host: Namespace, router: Router) -> None:
    index = socket.if_nametoindex("eth0")
    async with following(NetlinkSource()) as mirror:
        router.advertise(
            RouterAdvertisement(
                0,
                ROUTER,
                RouterHeader(1800),
                prefixes=(AdvertisedPrefix(PREFIX, True, True, 3600, 1800),),
                dns_servers=((IPv6Address("2001:db8:a::53"), 600),),
                search_domains=(("isp-a.example", math.inf),),
                captive_portal="https://portal.isp-a.example/",
                pref64=((IPv6Network("64:ff9b::/96"), 800),),
            )
        )
        await until_route_lasts(mirror, (1700, 1801))
        await wait_for_truth(mirror, host)
        now = trio.current_time()
        told = [each for each in mirror.advertisements if each.index == index]
        assert {each.router for each in told} == {ROUTER}
        assert {each.header for each in told} == {None}
        ((prefix,),) = [each.prefixes for each in told if each.prefixes]
        assert prefix.prefix == PREFIX
        assert prefix.valid_until == pytest.approx(now + 3600, abs=5)
        (((server, until),),) = [each.dns_servers for each in told if each.dns_servers]
        assert server == IPv6Address("2001:db8:a::53")
        assert until == pytest.approx(now + 600, abs=5)
        assert [each.search_domains for each in told if each.search_domains] == [(("isp-a.example", math.inf),)]
        assert [each.captive_portal for each in told if each.captive_portal] == ["https://portal.isp-a.example/"]
        (((nat64, until),),) = [each.pref64 for each in told if each.pref64]
        assert nat64 == IPv6Network("64:ff9b::/96")
        assert until == pytest.approx(now + 800, abs=5)


async def test_a_lifetime_that_is_renewed_without_an_event(router: Router) -> None:
    """A second advertisement gives the same route more time; the kernel says nothing about the route."""
    options = RouterAdvertisement(0, ROUTER, RouterHeader(60), dns_servers=((IPv6Address("2001:db8:a::53"), 60),))
    async with following(NetlinkSource()) as mirror:
        router.advertise(options)
        await until_route_lasts(mirror, (50, 61))
        while not await is_at_rest(mirror):
            pass
        router.advertise(RouterAdvertisement(0, ROUTER, RouterHeader(1800), dns_servers=options.dns_servers))
        await until_route_lasts(mirror, (1700, 1801))


async def test_a_lifetime_that_is_renewed_without_any_event(router: Router) -> None:
    """Without options there is not even the option's event: the source asks shortly before the route expires."""
    async with following(NetlinkSource()) as mirror:
        router.advertise(RouterAdvertisement(0, ROUTER, RouterHeader(2)))
        await until_route_lasts(mirror, (0, 2.01))
        while not await is_at_rest(mirror):
            pass
        reports = len(mirror.reports)
        router.advertise(RouterAdvertisement(0, ROUTER, RouterHeader(1800)))
        await until_route_lasts(mirror, (1700, 1801))
        assert all(isinstance(fact, AllRoutes) for facts in mirror.reports[reports + 1 :] for fact in facts)
