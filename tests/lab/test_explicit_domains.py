"""Explicit provisioning domains (RFC 8801) on a real link: one router that speaks for several, and DHCPv4 beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv6Address, IPv6Network

import pytest
import trio

import trimif
from trimif import (
    ElementType,
    Information,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoProvisioningDomainAnnouncement,
    PvdOption,
)
from trimif._facts import AdvertisedDomain, AdvertisedPrefix, RouterAdvertisement, RouterHeader
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace
from trimif.testing._servers_router import serve_router_advertisements

from ._program import Program, data_of, open_program

pytestmark = pytest.mark.lab

ROUTER = IPv6Address("fe80::b:1")
CORP, GUEST = "up-b/corp.example", "up-b/guest.example"
HOST = "ff:fe00:b02"


def said(network: str, option: PvdOption | None = None, lifetime: float = 1800.0) -> RouterAdvertisement:
    """What the router says of 2001:db8:NETWORK::/64, with the name server in it nested in the option."""
    prefix = AdvertisedPrefix(IPv6Network(f"2001:db8:{network}::/64"), True, True, lifetime, lifetime)
    servers = ((IPv6Address(f"2001:db8:{network}::53"), lifetime),)
    header = RouterHeader(lifetime)
    if option is None:
        return RouterAdvertisement(0, ROUTER, header, prefixes=(prefix,), dns_servers=servers)
    domain = AdvertisedDomain(option, RouterAdvertisement(0, ROUTER, dns_servers=servers))
    return RouterAdvertisement(0, ROUTER, header, prefixes=(prefix,), domain=domain)


@asynccontextmanager
async def router(lab: Lab, *advertisements: RouterAdvertisement) -> AsyncIterator[trio.CancelScope]:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_router_advertisements, lab.isp_b, "lan0", *advertisements))
        yield nursery.cancel_scope
        nursery.cancel_scope.cancel()


@pytest.fixture
def corp_router(lab: Lab) -> Lab:
    lab.ip("isp_b", f"address add {ROUTER}/64 dev lan0 nodad")
    return lab


def servers_of(mif: trimif.Mif, name: str) -> list[str]:
    return [str(each) for each in data_of(mif, name, ElementType.RA).get(Information.DNS_SERVERS, ())]


def addresses_of(mif: trimif.Mif, name: str) -> list[str]:
    domains = [domain for interface in mif.snapshot().interfaces for domain in interface.domains]
    return [str(each.address) for domain in domains if domain.announcement.name == name for each in domain.addresses]


async def settled(mif: trimif.Mif, program: Program, *names: str) -> None:
    """The domains of that name have an address, and no others of the uplink are there."""

    def is_settled() -> bool:
        known = {name for name in program.domains() if name.startswith("up-b/")}
        return known == set(names) and all(addresses_of(mif, name) for name in names)

    await program.when(is_settled)


async def test_one_router_speaks_for_three_domains(corp_router: Lab, on_host: Namespace) -> None:
    both = (said("b"), said("b1", PvdOption("corp.example")), said("b2", PvdOption("Guest.Example", http=True)))
    async with router(corp_router, *both), trimif.open_mif() as mif, open_program(mif) as program:
        await settled(mif, program, "up-b/ipv6", CORP, GUEST)
        for name, network in (("up-b/ipv6", "b"), (CORP, "b1"), (GUEST, "b2")):
            assert servers_of(mif, name) == [f"2001:db8:{network}::53"]
            assert addresses_of(mif, name) == [f"2001:db8:{network}::{HOST}"]
        option = data_of(mif, GUEST, ElementType.RA)[Information.PVD]
        assert option == PvdOption("guest.example", http=True)


async def test_dhcpv4_moves_to_the_domain_that_claims_it_and_back(corp_router: Lab, on_host: Namespace) -> None:
    corp_router.start_dhclient("up-b")
    directories = [corp_router.lease_directory]
    async with trimif.open_mif(lease_directories=directories) as mif, open_program(mif) as program:
        await settled(mif, program, "up-b/ipv4")
        async with router(corp_router, said("b1", PvdOption("corp.example", legacy=True))):
            await settled(mif, program, CORP)
            assert [each.partition(".")[0] for each in addresses_of(mif, CORP)] == ["198", f"2001:db8:b1::{HOST}"]
            assert data_of(mif, CORP, ElementType.DHCPV4)[Information.ROUTERS]
        async with router(corp_router, said("b1", PvdOption("corp.example"))):
            await settled(mif, program, CORP, "up-b/ipv4")


async def test_a_domain_ends_leaf_first_when_its_router_retires(corp_router: Lab, on_host: Namespace) -> None:
    option = PvdOption("corp.example")
    async with trimif.open_mif() as mif, open_program(mif) as program:
        async with router(corp_router, said("b1", option)):
            await settled(mif, program, CORP)
        domain = program.domains()[CORP]
        program.begin()
        async with router(corp_router, said("b1", option, lifetime=0.0)):
            await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert program.news[-3:] == [
            NoAddressAnnouncement(domain, IPv6Address(f"2001:db8:b1::{HOST}")),
            NoConfigurationElementAnnouncement(domain, ElementType.RA),
            NoProvisioningDomainAnnouncement(program.interfaces()["up-b"], domain),
        ]


@pytest.mark.parametrize(
    ("grouping", "names"),
    [
        ("family", ["up-b/ipv4", "up-b/ipv6", CORP]),
        ("interface", ["up-b/implicit", CORP]),
        ("router", ["up-b/fe80::b:1", CORP]),
    ],
)
async def test_groupings(corp_router: Lab, on_host: Namespace, grouping: str, names: list[str]) -> None:
    corp_router.start_dhclient("up-b")
    directories = [corp_router.lease_directory]
    async with (
        router(corp_router, said("b"), said("b1", PvdOption("corp.example"))),
        trimif.open_mif(grouping=grouping, lease_directories=directories) as mif,
        open_program(mif) as program,
    ):
        await settled(mif, program, *names)
