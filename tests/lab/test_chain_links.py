"""Links that come and go on a real kernel, and with them domains, elements and addresses, in the draft's order."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest
import trio

import trimif
from trimif import (
    Announcement,
    ElementType,
    Information,
    InterfaceAnnouncement,
    InterfaceId,
    InterfaceKind,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    Origin,
)
from trimif.testing._lab import Lab
from trimif.testing._namespaces import Namespace

from ._program import Program, kinds, open_program

pytestmark = pytest.mark.lab

WEB6 = "2001:db8:ff::80"
UP_A, UP_A6 = "198.51.100.10", "2001:db8:a::ff:fe00:a02"
CARRIER_SECONDS = 5.0


async def test_all_there_is_parents_first(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        await program.domain("up-a/ipv6")
        assert set(program.interfaces()) == {"lo", "up-a", "up-b", "vpn0"}
        assert {name: set(program.elements(name)) for name in program.domains()} == {
            "lo/ipv4": {ElementType.STATIC},
            "lo/ipv6": {ElementType.STATIC},
            "up-a/ipv4": {ElementType.DHCPV4},
            "up-a/ipv6": {ElementType.RA},
            "up-b/ipv4": {ElementType.DHCPV4},
            "vpn0/ipv4": {ElementType.STATIC},
            "vpn0/ipv6": {ElementType.STATIC},
        }
        assert {name: program.addresses(name) for name in program.domains()} == {
            "lo/ipv4": {"127.0.0.1"},
            "lo/ipv6": {"::1"},
            "up-a/ipv4": {UP_A},
            "up-a/ipv6": {UP_A6},
            "up-b/ipv4": {"198.51.100.70"},
            "vpn0/ipv4": {"198.51.100.130"},
            "vpn0/ipv6": {"fd6d:6966:1::2"},
        }


async def test_loopback_is_a_link_with_static_domains(lab: Lab, on_host: Namespace) -> None:
    async with trimif.open_mif() as mif, open_program(mif) as program:
        interface = program.interfaces()["lo"]
        assert told_of(program, interface).details.kind is InterfaceKind.LOOPBACK
        assert program.elements("lo/ipv4") == program.elements("lo/ipv6") == {ElementType.STATIC: Origin("kernel")}
        program.begin()
        lab.set_link("lo", up=False)
        await program.until(NoProvisioningDomainAnnouncement, domain=program.domains().get("lo/ipv6"))
        await program.when(lambda: "lo/ipv4" not in program.domains())
        lab.set_link("lo", up=True)
        await program.domain("lo/ipv4")
        await program.domain("lo/ipv6")


async def test_a_link_that_is_set_down_loses_its_domains_and_stays(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        interface = program.interfaces()["up-a"]
        ipv4, ipv6 = await program.domain("up-a/ipv4"), await program.domain("up-a/ipv6")
        await program.quiet()
        lab.set_link("up-a", up=False)
        await program.when(lambda: not {"up-a/ipv4", "up-a/ipv6"} & set(program.domains()))
        assert [each for each in program.news if not isinstance(each, InterfaceAnnouncement)] == [
            NoAddressAnnouncement(ipv4, IPv4Address(UP_A)),
            NoConfigurationElementAnnouncement(ipv4, ElementType.DHCPV4),
            NoProvisioningDomainAnnouncement(interface, ipv4),
            NoAddressAnnouncement(ipv6, IPv6Address(UP_A6)),
            NoConfigurationElementAnnouncement(ipv6, ElementType.RA),
            NoProvisioningDomainAnnouncement(interface, ipv6),
        ]
        await program.until(InterfaceAnnouncement, interface=interface)
        assert program.interfaces()["up-a"] == interface

        program.begin()
        lab.set_link("up-a", up=True)
        assert await program.domain("up-a/ipv6") != ipv6
        await program.until(InterfaceAnnouncement, interface=interface)
        assert kinds([m for m in program.news if not isinstance(m, InterfaceAnnouncement)])[:1] == [
            "ProvisioningDomainAnnouncement"
        ]


async def test_a_deleted_link_ends_leaf_first_and_comes_back_as_another(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-b").stop()
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        interface, domain = program.interfaces()["up-b"], await program.domain("up-b/ipv4")
        await program.quiet()
        lab.delete_link("up-b")
        await program.until(NoInterfaceAnnouncement)
        assert [each for each in program.news if not isinstance(each, InterfaceAnnouncement)] == [
            NoAddressAnnouncement(domain, IPv4Address("198.51.100.70")),
            NoConfigurationElementAnnouncement(domain, ElementType.DHCPV4),
            NoProvisioningDomainAnnouncement(interface, domain),
            NoInterfaceAnnouncement(interface),
        ]

        program.begin()
        lab.recreate_link("up-b")
        lab.start_dhclient("up-b")
        assert await program.domain("up-b/ipv4") != domain
        assert program.interfaces()["up-b"] != interface
        firsts = list(dict.fromkeys(kinds(program.news)))
        assert firsts == [
            "InterfaceAnnouncement",
            "ProvisioningDomainAnnouncement",
            "ConfigurationElementAnnouncement",
            "AddressAnnouncement",
        ]


async def test_domains_outlive_a_loss_of_carrier_by_five_seconds(lab: Lab, on_host: Namespace) -> None:
    """The cable of A stays out, that of B is plugged in again at once."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        await program.domain("up-a/ipv6")
        up_a, up_b = program.interfaces()["up-a"], program.interfaces()["up-b"]
        domain = await program.domain("up-b/ipv4")
        program.begin()
        for uplink in ("up-a", "up-b"):
            lab.set_carrier(uplink, False)
        await program.when(lambda: up_a in without_carrier(program.news))
        lost = trio.current_time()
        await program.when(lambda: up_b in without_carrier(program.news))
        lab.set_carrier("up-b", True)
        await program.until(NoProvisioningDomainAnnouncement, interface=up_a)
        assert CARRIER_SECONDS - 0.5 < trio.current_time() - lost < CARRIER_SECONDS + 0.5
        await program.when(lambda: not {"up-a/ipv4", "up-a/ipv6"} & set(program.domains()))
        assert not [m for m in program.news if isinstance(m, NoInterfaceAnnouncement)]
        assert [m for m in program.news if isinstance(m, InterfaceAnnouncement) and m.interface == up_b][
            -1
        ].details.carrier
        assert not [m for m in program.news if getattr(m, "domain", None) == domain]

        lab.set_carrier("up-a", True)
        await program.domain("up-a/ipv4")
        await program.domain("up-a/ipv6")


def without_carrier(messages: Sequence[Announcement]) -> set[InterfaceId]:
    told = (each for each in messages if isinstance(each, InterfaceAnnouncement))
    return {each.interface for each in told if not each.details.carrier}


def told_of(program: Program, interface: InterfaceId) -> InterfaceAnnouncement:
    """What was told last of an interface."""
    told = [m for m in program.history if isinstance(m, InterfaceAnnouncement) and m.interface == interface]
    return told[-1]


async def test_a_renamed_link_is_the_same_by_another_name(lab: Lab, on_host: Namespace) -> None:
    lab.start_dhclient("up-a")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        interface = program.interfaces()["up-a"]
        domains = [await program.domain("up-a/ipv4"), await program.domain("up-a/ipv6")]
        await program.quiet()
        lab.rename("up-a", "wan")
        await program.when(lambda: {"wan/ipv4", "wan/ipv6"} <= set(program.domains()))
        assert program.interfaces()["wan"] == interface
        assert [program.domains()[name] for name in ("wan/ipv4", "wan/ipv6")] == domains
        assert program.elements("wan/ipv4").keys() == {ElementType.DHCPV4}
        assert set(kinds(program.news)) <= {"InterfaceAnnouncement", "ProvisioningDomainAnnouncement"}
        assert "up-a" not in program.interfaces()


async def test_two_links_swap_their_names(lab: Lab, on_host: Namespace) -> None:
    """Their leases are filed under names; whose they are, the addresses tell."""
    lab.start_dhclient("up-a")
    lab.start_dhclient("up-b")
    async with trimif.open_mif(lease_directories=[lab.lease_directory]) as mif, open_program(mif) as program:
        up_a, up_b = program.interfaces()["up-a"], program.interfaces()["up-b"]
        a, b = await program.domain("up-a/ipv4"), await program.domain("up-b/ipv4")
        program.begin()
        lab.rename("up-a", "swap")
        lab.rename("up-b", "up-a")
        lab.rename("swap", "up-b")
        await program.when(lambda: program.interfaces() | {"up-a": up_b, "up-b": up_a} == program.interfaces())
        await program.when(lambda: program.domains().get("up-b/ipv4") == a)
        assert program.domains()["up-a/ipv4"] == b
        assert (program.addresses("up-b/ipv4"), program.addresses("up-a/ipv4")) == ({UP_A}, {"198.51.100.70"})
        assert program.elements("up-b/ipv4").keys() == program.elements("up-a/ipv4").keys() == {ElementType.DHCPV4}
        assert await program.get(a, ElementType.DHCPV4, Information.MTU) == 1460
        assert await program.get(b, ElementType.DHCPV4, Information.MTU) == 1400
        assert not [each for each in kinds(program.history) if each.startswith("No")]
