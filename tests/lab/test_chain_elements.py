"""Configuration elements on a real kernel: who brings them, what they say, and that they end when they should."""

from __future__ import annotations

import math
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import pytest
import trio

import trimif
from trimif import (
    AddressAnnouncement,
    AnnounceAddress,
    ConfigurationElementAnnouncement,
    ElementType,
    Information,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoProvisioningDomainAnnouncement,
    Origin,
    Route,
    StaticConfiguration,
)
from trimif._facts import AdvertisedPrefix, RouterAdvertisement, RouterHeader
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_router import serve_router_advertisements

from ._program import Program, data_of, kinds, open_program

pytestmark = pytest.mark.lab

RA, DHCPV4, STATIC = ElementType.RA, ElementType.DHCPV4, ElementType.STATIC
ROUTER_A = IPv6Address("fe80::a:1")
UP_A6 = IPv6Address("2001:db8:a::ff:fe00:a02")
SETTLING_SECONDS = 2.0


# ---------------------------------------------------------------- what they say


async def test_what_a_dhcpv4_lease_says(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv4")
        assert program.elements("up-a/ipv4") == {DHCPV4: Origin("dhclient", IPv4Address("198.51.100.1"))}
        router = IPv4Address("198.51.100.1")
        expected: dict[Information[Any], object] = {
            Information.DNS_SERVERS: (router, IPv4Address("198.51.100.3")),
            Information.SEARCH_DOMAINS: ("isp-a.example", "example.com"),
            Information.ROUTERS: (router,),
            Information.ROUTES: (
                Route(IPv4Network("203.0.113.64/26"), router),
                Route(IPv4Network("0.0.0.0/0"), router),
            ),
            Information.PREFIXES: (IPv4Network("198.51.100.0/26"),),
            Information.MTU: 1460,
            Information.NTP_SERVERS: (router,),
        }
        assert {each: await program.get(domain, DHCPV4, each) for each in expected} == expected
        ends = await program.get(domain, DHCPV4, Information.VALID_UNTIL)
        assert ends is not None
        assert 110 < ends - trio.current_time() <= 121


async def test_what_a_router_advertisement_says(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        await program.quiet()
        assert program.elements("up-a/ipv6") == {RA: Origin("router advertisement", ROUTER_A)}
        expected: dict[Information[Any], object] = {
            Information.DNS_SERVERS: (IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:a::3")),
            Information.SEARCH_DOMAINS: ("isp-a.example", "example.com"),
            Information.ROUTERS: (ROUTER_A,),
            Information.PREFIXES: (IPv6Network("2001:db8:a::/64"),),
            Information.MTU: 1460,
            Information.NTP_SERVERS: None,
        }
        assert {each: await program.get(domain, RA, each) for each in expected} == expected
        routes = await program.get(domain, RA, Information.ROUTES)
        assert set(routes or ()) == {
            Route(IPv6Network("::/0"), ROUTER_A),
            Route(IPv6Network("2001:db8:ff::/48"), ROUTER_A),
        }
        ends = await program.get(domain, RA, Information.VALID_UNTIL)
        assert ends is not None
        assert 3500 < ends - trio.current_time() <= 3601


async def test_what_the_kernel_and_a_person_say_of_a_tunnel(lab: Lab, on_host: Namespace) -> None:
    known = StaticConfiguration("vpn0", ("198.51.100.129", "fd6d:6966:1::1"), ("corp.example",))
    async with trimif.open_mif(static=[known]) as mif, open_program(mif) as program:
        ipv4, ipv6 = await program.domain("vpn0/ipv4"), await program.domain("vpn0/ipv6")
        for domain, server, route in (
            (ipv4, "198.51.100.129", Route(IPv4Network("203.0.113.128/25"), IPv4Address("198.51.100.129"))),
            (ipv6, "fd6d:6966:1::1", Route(IPv6Network("fd6d:6966:2::/64"), IPv6Address("fd6d:6966:1::1"))),
        ):
            assert await program.get(domain, STATIC, Information.DNS_SERVERS) == (ip_address(server),)
            assert await program.get(domain, STATIC, Information.SEARCH_DOMAINS) == ("corp.example",)
            assert await program.get(domain, STATIC, Information.ROUTES) == (route,)
            assert await program.get(domain, STATIC, Information.ROUTERS) is None
            assert await program.get(domain, RA, Information.ROUTES) is None


# ---------------------------------------------------------------- DHCPv4: bind, renew, release


async def test_dhclient_binds_renews_and_releases(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        interface = program.interfaces()["up-a"]
        await program.domain("up-a/ipv6")
        await program.quiet()
        client = lab.start_dhclient("up-a")
        domain = await program.domain("up-a/ipv4")
        about = [m for m in program.news if getattr(m, "domain", None) == domain]
        assert kinds(about) == [
            "ProvisioningDomainAnnouncement",
            "ConfigurationElementAnnouncement",
            "AddressAnnouncement",
        ]
        assert program.elements("up-a/ipv4") == {DHCPV4: Origin("dhclient", IPv4Address("198.51.100.1"))}

        program.post(AnnounceAddress(domain, lifetimes=True))
        program.begin()
        lab.ip("host", "address change 198.51.100.10/26 dev up-a valid_lft 30 preferred_lft 30")
        shortened = await program.until(AddressAnnouncement, domain=domain)
        assert shortened.valid_until < trio.current_time() + 31
        program.begin()
        client.renew()
        renewed = await program.when(lambda: longer_than(100, program))
        assert renewed.domain == domain
        assert not [each for each in kinds(program.news) if each.startswith("No")]

        program.begin()
        client.release()
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert [m for m in program.news if getattr(m, "domain", None) == domain] == [
            NoAddressAnnouncement(domain, IPv4Address("198.51.100.10")),
            NoConfigurationElementAnnouncement(domain, DHCPV4),
            NoProvisioningDomainAnnouncement(interface, domain),
        ]
        assert "up-a/ipv6" in program.domains()


def longer_than(seconds: float, program: Program) -> AddressAnnouncement | None:
    told = (each for each in program.news if isinstance(each, AddressAnnouncement))
    return next((each for each in told if each.valid_until > trio.current_time() + seconds), None)


async def test_pyroute2_binds_and_releases(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        client = lab.start_pyroute2_dhcp("up-b")
        domain = await program.domain("up-b/ipv4")
        await program.when(lambda: DHCPV4 in program.elements("up-b/ipv4"))
        assert program.elements("up-b/ipv4") == {DHCPV4: Origin("pyroute2", IPv4Address("198.51.100.65"))}
        assert await program.get(domain, DHCPV4, Information.DNS_SERVERS) == (IPv4Address("198.51.100.65"),)
        assert await program.get(domain, DHCPV4, Information.MTU) == 1400
        program.begin()
        client.release()
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert kinds([m for m in program.news if getattr(m, "domain", None) == domain]) == [
            "NoAddressAnnouncement",
            "NoConfigurationElementAnnouncement",
            "NoProvisioningDomainAnnouncement",
        ]


async def test_a_lease_taken_back_by_hand_ends_with_its_address(lab: Lab, on_host: Namespace) -> None:
    """The lease file still has it: "DHCPv4 while the lease is valid and its address present"."""
    lab.start_dhclient("up-b").stop()
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        domain = await program.domain("up-b/ipv4")
        program.begin()
        lab.ip("host", "address delete 198.51.100.70/26 dev up-b")
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)


# ---------------------------------------------------------------- RA: goodbye, lifetimes


async def test_a_router_that_says_goodbye(lab: Lab, on_host: Namespace) -> None:
    """RFC 4861, 6.2.5: router lifetime 0. The prefix lives on, and the domain with it, without a default router."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("up-a/ipv6")
        await program.quiet()
        lab.stop("isp_a.radvd", gently=True)
        await program.when(lambda: Information.ROUTERS not in data_of(mif, "up-a/ipv6", RA))
        await program.until(ConfigurationElementAnnouncement, domain=domain)
        assert await program.get(domain, RA, Information.ROUTERS) is None
        assert program.domains()["up-a/ipv6"] == domain
        lab.start("isp_a.radvd")
        await program.when(lambda: Information.ROUTERS in data_of(mif, "up-a/ipv6", RA))
        assert await program.get(domain, RA, Information.ROUTERS) == (ROUTER_A,)


async def test_router_advertisements_whose_lifetimes_run_out(lab: Lab, on_host: Namespace) -> None:
    """One advertisement, then silence: what it said ends piece by piece, at last the domain, and nobody says a word."""
    lab.ip("isp_b", "address add fe80::b:1/64 dev lan0 nodad")
    router, server = IPv6Address("fe80::b:1"), IPv6Address("2001:db8:b::1")
    prefix = AdvertisedPrefix(IPv6Network("2001:db8:b::/64"), True, True, valid_until=3, preferred_until=2)
    said = RouterAdvertisement(0, router, RouterHeader(until=2), prefixes=(prefix,), dns_servers=((server, 1),))
    async with trimif.open_mif() as mif, open_program(mif) as program:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", said))
            await program.when(lambda: Information.DNS_SERVERS in data_of(mif, "up-b/ipv6", RA))
            nursery.cancel_scope.cancel()
        domain = await program.domain("up-b/ipv6")
        program.begin()
        ends = data_of(mif, "up-b/ipv6", RA)[Information.VALID_UNTIL]
        for left, information in ((2, Information.DNS_SERVERS), (1, Information.ROUTERS)):
            await program.when(partial(_says_no_more, mif, information))
            assert abs(trio.current_time() - (ends - left)) < 0.8
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert abs(trio.current_time() - ends) < 0.8
        assert program.news[-3:] == [
            NoAddressAnnouncement(domain, IPv6Address("2001:db8:b::ff:fe00:b02")),
            NoConfigurationElementAnnouncement(domain, RA),
            NoProvisioningDomainAnnouncement(program.interfaces()["up-b"], domain),
        ]


def _says_no_more(mif: trimif.Mif, information: Information[Any]) -> bool:
    return information not in data_of(mif, "up-b/ipv6", RA)


# ---------------------------------------------------------------- addresses and STATIC


async def test_a_new_address_is_static_after_two_seconds(lab: Lab, on_host: Namespace) -> None:
    """So long a lease or an advertisement may claim it. Before, and while it is tentative, nothing is said of it."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        assert "up-b/ipv4" not in program.domains()
        before = trio.current_time()
        lab.ip("host", "address add 198.51.100.99/26 dev up-b")
        domain = await program.domain("up-b/ipv4")
        assert SETTLING_SECONDS - 0.1 < trio.current_time() - before < SETTLING_SECONDS + 1
        assert program.elements("up-b/ipv4") == {STATIC: Origin("kernel")}
        assert program.addresses("up-b/ipv4") == {"198.51.100.99"}
        program.begin()
        lab.ip("host", "address delete 198.51.100.99/26 dev up-b")
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)


async def test_an_address_ends_on_time(lab: Lab, on_host: Namespace) -> None:
    """The kernel removes it up to a second late; trimif keeps to the deadline that was told."""
    async with trimif.open_mif() as mif, open_program(mif) as program:
        domain = await program.domain("vpn0/ipv4")
        lab.ip("host", "address add 198.51.100.140/26 dev vpn0 valid_lft 3 preferred_lft 2")
        address = IPv4Address("198.51.100.140")
        told = await program.until(AddressAnnouncement, domain=domain, address=address)
        assert told.preferred_until < told.valid_until < math.inf
        await program.until(NoAddressAnnouncement, domain=domain, address=address)
        assert abs(trio.current_time() - told.valid_until) < 0.8
        assert program.addresses("vpn0/ipv4") == {"198.51.100.130"}
