"""Router advertisements on a real link: radvd's, and our own server's where radvd can't; several routers at once."""

from __future__ import annotations

import math
import socket
from functools import partial
from ipaddress import IPv6Address, IPv6Network

import pytest
import trio

from trimif._facts import AdvertisedDomain, AdvertisedPrefix, AdvertisedRoute, RouterAdvertisement, RouterHeader
from trimif._information import EncryptedDnsServer, PvdOption, RawOption
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_router import serve_router_advertisements

from ._routers import listening, sent, visible_to_the_kernel

pytestmark = pytest.mark.lab

RADVD = IPv6Address("fe80::a:1")
ROUTER = IPv6Address("fe80::b:1")
OTHER = IPv6Address("fe80::b:2")
SERVER = IPv6Address("2001:db8:b::53")
PREFIX = IPv6Network("2001:db8:b::/64")
NAT64 = IPv6Network("64:ff9b::/96")
ENCRYPTED = EncryptedDnsServer(
    1, "dns.isp-b.example", (SERVER,), ("h2",), 8443, "/q{?dns}", ((1, b"\x02h2"), (3, b"\x20\xfb"), (7, b"/q{?dns}"))
)

EVERYTHING = RouterAdvertisement(
    0,
    ROUTER,
    RouterHeader(
        1800, True, True, 1, hop_limit=64, home_agent=True, reachable_time=30.0, retransmission_time=1.0, proxy=True
    ),
    mtu=1400,
    prefixes=(AdvertisedPrefix(PREFIX, True, True, 3600, 1800, True),),
    routes=(AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), -1, math.inf),),
    dns_servers=((SERVER, 600), (IPv6Address("2001:db8:b::54"), math.inf)),
    search_domains=(("isp-b.example", 600), ("example.com", math.inf)),
    captive_portal="https://portal.isp-b.example/api",
    pref64=((NAT64, 1800),),
    encrypted_dns=((ENCRYPTED, 900), (EncryptedDnsServer(2, "other.isp-b.example"), math.inf)),
    raw_options=(
        RawOption(1, bytes.fromhex("020000000b01")),
        RawOption(31, bytes.fromhex("0000 00000258 0361206200000000")),  # "a b" is no domain name
        RawOption(253, bytes(14)),
    ),
)


def explicit(name: str, content: RouterAdvertisement, *, lifetime: float = 1800) -> RouterAdvertisement:
    domain = AdvertisedDomain(PvdOption(name, http=True, delay=2, sequence=5), content)
    return RouterAdvertisement(0, ROUTER, RouterHeader(lifetime), domain=domain)


def add_addresses(lab: Lab, *addresses: IPv6Address) -> None:
    for address in addresses:
        lab.ip("isp_b", f"address add {address}/64 dev lan0 nodad")


# ---------------------------------------------------------------- radvd


async def test_what_radvd_says(lab: Lab, on_host: Namespace) -> None:
    """It is solicited when the source starts; what radvd 2.19 can't say, nobody says."""
    async with listening() as (raw, _):
        said = await raw.of(RADVD)
    assert said.index == socket.if_nametoindex("up-a")
    assert said.header is not None
    assert (said.header.until, said.header.hop_limit) == (1800, 64)
    assert [prefix.prefix for prefix in said.prefixes] == [IPv6Network("2001:db8:a::/64")]
    assert {server for server, _ in said.dns_servers} == {IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:a::3")}
    assert [option.code for option in said.raw_options] == [1]
    unsaid = (said.captive_portal, said.domain, said.pref64, said.encrypted_dns)
    assert unsaid == (None, None, (), ())


async def test_radvd_says_goodbye(lab: Lab, on_host: Namespace) -> None:
    """With a last advertisement "with a zero lifetime" (RFC 4861, 6.2.5)."""
    async with listening() as (raw, _):
        await raw.of(RADVD)
        lab.stop("isp_a.radvd", gently=True)
        await raw.when(lambda: [each for each in raw.heard if each.header and each.header.until <= 0])
        assert raw.heard[-1].router == RADVD


async def test_both_paths_agree_on_radvd(lab: Lab, on_host: Namespace) -> None:
    async with listening() as (raw, kernel):
        said = visible_to_the_kernel(await raw.of(RADVD))
        await kernel.when(lambda: kernel.heard and kernel.union(RADVD) == said)


# ---------------------------------------------------------------- everything that can be said


async def test_both_paths_agree_on_all_that_both_can_see(lab: Lab, on_host: Namespace, nursery: trio.Nursery) -> None:
    add_addresses(lab, ROUTER)
    index = socket.if_nametoindex("up-b")
    expected = sent(EVERYTHING, index, ROUTER)
    async with listening() as (raw, kernel):
        await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", EVERYTHING))
        assert await raw.of(ROUTER) == expected
        seen = visible_to_the_kernel(expected)
        assert seen.captive_portal
        assert seen.pref64
        assert [option.code for option in seen.raw_options] == [31]
        await kernel.when(lambda: kernel.heard and kernel.union(ROUTER) == seen)
    nursery.cancel_scope.cancel()


async def test_what_is_inside_a_pvd_option_only_the_raw_socket_hears(
    lab: Lab, on_host: Namespace, nursery: trio.Nursery
) -> None:
    add_addresses(lab, ROUTER)
    content = RouterAdvertisement(0, ROUTER, RouterHeader(900), dns_servers=((SERVER, 600),))
    said = explicit("pvd.isp-b.example", content)
    around = RouterAdvertisement(0, ROUTER, said.header, domain=said.domain, pref64=((NAT64, 600),))
    index = socket.if_nametoindex("up-b")
    async with listening() as (raw, kernel):
        await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", around))
        assert await raw.of(ROUTER, "pvd.isp-b.example") == sent(around, index, ROUTER)
        await kernel.when(lambda: [each for each in kernel.heard if each.router == ROUTER])
        assert kernel.union(ROUTER) == RouterAdvertisement(index, ROUTER, pref64=((NAT64, 600),))
    nursery.cancel_scope.cancel()


async def test_where_a_manager_took_over_only_the_raw_socket_hears_anything(
    lab: Lab, on_host: Namespace, nursery: trio.Nursery
) -> None:
    """dhcpcd, systemd-networkd and NetworkManager set ``accept_ra`` to 0: then the kernel looks at nothing."""
    add_addresses(lab, ROUTER)
    lab.host.write_sysctl("net/ipv6/conf/up-b/accept_ra", 0)
    async with listening() as (raw, kernel):
        await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", EVERYTHING))
        assert await raw.of(ROUTER) == sent(EVERYTHING, socket.if_nametoindex("up-b"), ROUTER)
        await kernel.when(lambda: [each for each in kernel.heard if each.router == RADVD])
        assert [each for each in kernel.heard if each.router == ROUTER] == []
    nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- several routers, several domains


async def test_two_routers_on_one_link_answer_one_solicitation(
    lab: Lab, on_host: Namespace, nursery: trio.Nursery
) -> None:
    add_addresses(lab, ROUTER, OTHER)
    one = RouterAdvertisement(0, ROUTER, RouterHeader(1800, preference=1), captive_portal="https://one.example/")
    other = RouterAdvertisement(0, OTHER, RouterHeader(0, managed=True), dns_servers=((SERVER, 600),))
    for said in (one, other):
        serve = partial(serve_router_advertisements, lab.isp_b, "lan0", said, source=said.router, interval=math.inf)
        await nursery.start(serve)
    index = socket.if_nametoindex("up-b")
    async with listening() as (raw, kernel):
        assert await raw.of(ROUTER) == sent(one, index, ROUTER)
        assert await raw.of(OTHER) == sent(other, index, OTHER)
        await kernel.when(lambda: {ROUTER, OTHER} <= {each.router for each in kernel.heard})
        assert kernel.union(ROUTER) == visible_to_the_kernel(sent(one, index, ROUTER))
        assert kernel.union(OTHER) == visible_to_the_kernel(sent(other, index, OTHER))
    nursery.cancel_scope.cancel()


async def test_one_router_with_three_domains(lab: Lab, on_host: Namespace, nursery: trio.Nursery) -> None:
    """One for each that is explicit, one for all that know nothing of them (RFC 8801, 3.2)."""
    add_addresses(lab, ROUTER)
    implicit = RouterAdvertisement(0, ROUTER, RouterHeader(1800), dns_servers=((SERVER, 600),))
    work = explicit("work.example", RouterAdvertisement(0, ROUTER, RouterHeader(900), mtu=1300))
    guests = explicit("guests.example", RouterAdvertisement(0, ROUTER, captive_portal="https://guests.example/"))
    serve = partial(serve_router_advertisements, lab.isp_b, "lan0", implicit, work, guests, interval=math.inf)
    index = socket.if_nametoindex("up-b")
    await nursery.start(serve)
    async with listening() as (raw, _):
        assert await raw.of(ROUTER) == sent(implicit, index, ROUTER)
        assert await raw.of(ROUTER, "work.example") == sent(work, index, ROUTER)
        assert await raw.of(ROUTER, "guests.example") == sent(guests, index, ROUTER)
    nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- withdrawals


async def test_lifetimes_of_zero_withdraw_on_both_paths(lab: Lab, on_host: Namespace, nursery: trio.Nursery) -> None:
    """Of name servers, search domains, NAT64 prefixes and encrypted name servers; and of the router itself."""
    add_addresses(lab, ROUTER)
    gone = RouterAdvertisement(
        0,
        ROUTER,
        RouterHeader(0),
        prefixes=(AdvertisedPrefix(PREFIX, True, True, 0, 0),),
        routes=(AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), 0, 0),),
        dns_servers=((SERVER, 0),),
        search_domains=(("isp-b.example", 0),),
        pref64=((NAT64, 0),),
        encrypted_dns=((EncryptedDnsServer(1, "dns.isp-b.example"), 0),),
    )
    index = socket.if_nametoindex("up-b")
    async with listening() as (raw, kernel):
        async with trio.open_nursery() as router:
            await router.start(partial(serve_router_advertisements, lab.isp_b, "lan0", EVERYTHING))
            await raw.of(ROUTER)
            await kernel.when(lambda: kernel.heard and kernel.union(ROUTER).pref64)
            router.cancel_scope.cancel()
        raw.heard.clear()
        kernel.heard.clear()
        await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", gone))
        assert await raw.of(ROUTER) == sent(gone, index, ROUTER)
        seen = visible_to_the_kernel(sent(gone, index, ROUTER))
        await kernel.when(lambda: kernel.heard and kernel.union(ROUTER) == seen)
    nursery.cancel_scope.cancel()


async def test_a_router_that_vanished_is_silent_and_one_that_is_back_is_heard(
    lab: Lab, on_host: Namespace, nursery: trio.Nursery
) -> None:
    """Nobody says that it is gone: its lifetimes run out. Its first advertisement after that says all again."""
    add_addresses(lab, ROUTER)
    said = RouterAdvertisement(0, ROUTER, RouterHeader(1), dns_servers=((SERVER, 1),))
    expected = sent(said, socket.if_nametoindex("up-b"), ROUTER)
    async with listening() as (raw, _):
        async with trio.open_nursery() as router:
            await router.start(partial(serve_router_advertisements, lab.isp_b, "lan0", said))
            assert await raw.of(ROUTER) == expected
            router.cancel_scope.cancel()
        raw.heard.clear()
        await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", said))
        assert await raw.of(ROUTER) == expected
    nursery.cancel_scope.cancel()
