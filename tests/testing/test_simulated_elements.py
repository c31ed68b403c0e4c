"""The simulated host's verbs for all that configures a host: explicit domains, DHCPv6, managers, what was fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Any

import pytest
import trio
import trio.testing

from trimif import (
    ElementType,
    EncryptedDnsServer,
    Information,
    InterfaceKind,
    LeaseTimes,
    Mif,
    PortalInformation,
    PvdInformation,
    PvdOption,
    Route,
)
from trimif.testing import Recorder, SimulatedHost, open_recorder, open_simulated_mif

Clock = trio.testing.MockClock
RA, DHCPV6, DHCPV4, STATIC = ElementType.RA, ElementType.DHCPV6, ElementType.DHCPV4, ElementType.STATIC
PORTAL = "https://portal.example/api"


@asynccontextmanager
async def recording(*interfaces: str) -> AsyncIterator[tuple[SimulatedHost, Mif, Recorder]]:
    """A host with these interfaces, of which everything but they themselves is recorded."""
    host = SimulatedHost()
    for each in interfaces:
        host.add_link(each)
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        await recorder.lines()
        yield host, mif, recorder


def data_of(mif: Mif, domain: str, element: ElementType) -> dict[str, Any]:
    """What an element says, by the names of the identifiers; of the link's type each of them knows."""
    found = mif.domain(domain)
    data = {each.name: found.get(element, each) for each in Information.all() if each is not Information.LINK_TYPE}
    return {name: value for name, value in data.items() if value is not None}


# ---------------------------------------------------------------- routers


async def test_a_router_advertises_everything(autojump_clock: Clock) -> None:
    server = EncryptedDnsServer(1, "dns.example", alpn=("dot",))
    async with recording("eth0") as (host, mif, _):
        host.advertise(
            "eth0",
            "2001:db8:2::/64",
            dns_servers=["2001:db8:2::53"],
            search_domains=["corp.example"],
            encrypted_dns=[server],
            routes=["2001:db8:7::/48"],
            pref64=["64:ff9b::/96"],
            mtu=1400,
            captive_portal=PORTAL,
        )
        router = ip_address("fe80::1")
        assert (
            data_of(mif, "eth0/ipv6", RA).items()
            >= {
                "DNS_SERVERS": (ip_address("2001:db8:2::53"),),
                "SEARCH_DOMAINS": ("corp.example",),
                "ENCRYPTED_DNS": (server,),
                "ROUTERS": (router,),
                "ROUTES": (Route(IPv6Network("::/0"), router), Route(IPv6Network("2001:db8:7::/48"), router)),
                "PREFIXES": (IPv6Network("2001:db8:2::/64"),),
                "PREF64": (IPv6Network("64:ff9b::/96"),),
                "MTU": 1400,
                "CAPTIVE_PORTAL": PORTAL,
            }.items()
        )


async def test_a_router_speaks_for_explicit_domains_and_takes_one_back(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, recorder):
        host.advertise("eth0", "2001:db8:2::/64")
        host.advertise("eth0", "2001:db8:3::/64", domain="A.example.")
        host.advertise("eth0", "2001:db8:4::/64", domain=PvdOption("b.example", http=True, legacy=True))
        host.add_lease("eth0", "198.51.100.7/24")
        assert set(recorder.domains()) == set()
        await recorder.lines()
        assert set(recorder.domains()) == {"eth0/ipv6", "eth0/a.example", "eth0/b.example"}
        assert mif.domain("eth0/b.example").get(RA, Information.PVD) == PvdOption("b.example", http=True, legacy=True)
        assert mif.domain("eth0/b.example").get(DHCPV4, Information.ROUTERS) == (ip_address("198.51.100.1"),)
        host.remove_router("eth0", domain="B.example")
        assert await recorder.lines() == [
            "0 No Address 2001:db8:4::10 of eth0/b.example",
            "0 No Address 198.51.100.7 of eth0/b.example",
            "0 No Element RA of eth0/b.example",
            "0 No Element DHCPv4 of eth0/b.example",
            "0 No PD eth0/b.example",
            "0 PD eth0/ipv4",
            "0 Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
            "0 Address 198.51.100.7/24 of eth0/ipv4, valid for ever",
        ]


async def test_a_goodbye_is_for_one_domain(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, recorder):
        host.advertise("eth0", "2001:db8:2::/64", seconds=60)
        host.advertise("eth0", domain=PvdOption("a.example", legacy=True), dns_servers=["2001:db8:2::53"], seconds=60)
        host.stop_advertising("eth0", domain="a.example")
        said = data_of(mif, "eth0/a.example", RA)
        assert "ROUTERS" not in said
        assert said["PVD"].legacy, "its flags are as they were"
        assert "ROUTERS" in data_of(mif, "eth0/ipv6", RA)
        await trio.sleep(60)
        await recorder.lines()
        assert recorder.domains() == {}


async def test_a_router_takes_back_what_no_other_says(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, recorder):
        for router in ("fe80::1", "fe80::2"):
            host.advertise(
                "eth0", "2001:db8:2::/64", router=router, dns_servers=["2001:db8:2::53"], pref64=["64:ff9b::/96"]
            )
        host.advertise(
            "eth0", "2001:db8:3::/64", router="fe80::2", routes=["2001:db8:7::/48"], search_domains=["a.example"]
        )
        host.remove_router("eth0", router="fe80::2")
        said = data_of(mif, "eth0/ipv6", RA)
        assert said["PREFIXES"] == (IPv6Network("2001:db8:2::/64"),)
        assert said["PREF64"] == (IPv6Network("64:ff9b::/96"),)
        assert said["ROUTERS"] == (ip_address("fe80::1"),)
        assert "SEARCH_DOMAINS" not in said
        await recorder.lines()
        host.remove_router("eth0")
        assert await recorder.lines() == [
            "0 No Address 2001:db8:2::10 of eth0/ipv6",
            "0 No Element RA of eth0/ipv6",
            "0 No PD eth0/ipv6",
        ]


# ---------------------------------------------------------------- DHCP


async def test_a_dhcpv6_lease_is_renewed_changed_and_released(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, recorder):
        host.add_dhcpv6_lease("eth0", "2001:db8:2::98", "2001:db8:2::99", seconds=100, dns_servers=["2001:db8:2::53"])
        assert data_of(mif, "eth0/ipv6", DHCPV6) == {
            "DNS_SERVERS": (ip_address("2001:db8:2::53"),),
            "LEASE": LeaseTimes(50, 80, 100),
            "VALID_UNTIL": 100,
        }
        await trio.sleep(50)
        host.add_dhcpv6_lease("eth0", "2001:db8:2::99", seconds=100, preferred_seconds=50)
        assert data_of(mif, "eth0/ipv6", DHCPV6) == {"LEASE": LeaseTimes(75, 90, 150), "VALID_UNTIL": 150}
        host.remove_dhcpv6_lease("eth0")
        assert await recorder.lines() == [
            "0 PD eth0/ipv6",
            "0 Element DHCPv6 of eth0/ipv6 from fe80::1",
            "0 Address 2001:db8:2::98/128 of eth0/ipv6, valid 1 min 40 s",
            "0 Address 2001:db8:2::99/128 of eth0/ipv6, valid 1 min 40 s",
            "50 No Address 2001:db8:2::98 of eth0/ipv6",
            "50 Element DHCPv6 of eth0/ipv6 from fe80::1",
            "50 No Address 2001:db8:2::99 of eth0/ipv6",
            "50 No Element DHCPv6 of eth0/ipv6",
            "50 No PD eth0/ipv6",
        ]


async def test_stateless_dhcpv6_is_of_the_domains_whose_router_says_so(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, _):
        host.advertise("eth0", "2001:db8:2::/64")
        host.advertise("eth0", "2001:db8:3::/64", domain="a.example", other_configuration=True)
        host.add_dhcpv6_lease("eth0", search_domains=["corp.example"], data={Information.NTP_NAMES: ("time.example",)})
        assert data_of(mif, "eth0/ipv6", DHCPV6) == {}
        said = data_of(mif, "eth0/a.example", DHCPV6)
        assert (said["SEARCH_DOMAINS"], said["NTP_NAMES"]) == (("corp.example",), ("time.example",))
        host.advertise("eth0", "2001:db8:3::/64", domain="a.example", managed=True)
        host.add_dhcpv6_lease("eth0", "2001:db8:3::99")
        assert data_of(mif, "eth0/a.example", DHCPV6).keys() == {"LEASE", "VALID_UNTIL"}


async def test_both_leases_of_an_interface_are_kept_apart(autojump_clock: Clock) -> None:
    async with recording("eth0", "wlan0") as (host, _, recorder):
        for number, interface in enumerate(["eth0", "wlan0"], 7):
            host.add_dhcpv6_lease(interface, f"2001:db8:2::{number}")
            host.add_lease(interface, f"198.51.100.{number}/24")
        host.rename("wlan0", "wan0")
        await recorder.lines()
        assert set(recorder.domains()) == {"eth0/ipv4", "eth0/ipv6", "wan0/ipv4", "wan0/ipv6"}
        host.add_lease("wan0", "198.51.100.9/24")
        host.remove_lease("eth0")
        host.remove_dhcpv6_lease("wan0")
        await recorder.lines()
        assert set(recorder.domains()) == {"eth0/ipv6", "wan0/ipv4"}
        host.remove_link("eth0")
        host.add_link("eth0")
        with pytest.raises(ValueError, match="'eth0' of the simulated host has no DHCPv6 lease"):
            host.remove_dhcpv6_lease("eth0")


async def test_a_dhcpv4_lease_with_more_options(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, _):
        host.add_lease(
            "eth0",
            "198.51.100.7/24",
            seconds=80,
            ntp_servers=["198.51.100.123"],
            mtu=1400,
            captive_portal=PORTAL,
            data={Information.METERED: True, Information.LEASE: LeaseTimes(10, 20, 80)},
        )
        assert (
            data_of(mif, "eth0/ipv4", DHCPV4).items()
            >= {
                "NTP_SERVERS": (ip_address("198.51.100.123"),),
                "MTU": 1400,
                "CAPTIVE_PORTAL": PORTAL,
                "METERED": True,
                "LEASE": LeaseTimes(10, 20, 80),
            }.items()
        )
        host.add_lease("eth0", "198.51.100.7/24", seconds=80)
        assert data_of(mif, "eth0/ipv4", DHCPV4)["LEASE"] == LeaseTimes(40, 70, 80)


# ---------------------------------------------------------------- managers


async def test_a_vpn_is_configured_by_a_manager(autojump_clock: Clock) -> None:
    async with recording() as (host, mif, _):
        host.add_link("vpn0", kind=InterfaceKind.TUNNEL)
        host.add_address("vpn0", "203.0.113.7/24")
        host.add_route("vpn0", "0.0.0.0/0", router="203.0.113.1")
        host.configure("vpn0", dns_servers=["203.0.113.53", "2001:db8::53"], split_domains=["corp.example"])
        await trio.sleep(3)
        domain = mif.domain("vpn0/ipv4")
        assert domain.get(STATIC, Information.DNS_SERVERS) == (ip_address("203.0.113.53"),)
        assert domain.get(STATIC, Information.SPLIT_DOMAINS) == ("corp.example",)
        assert domain.get(STATIC, Information.ROUTERS) == (ip_address("203.0.113.1"),)
        assert (domain.usable, domain.metered) == (True, None)
        host.configure("vpn0", metered=True)
        assert domain.get(STATIC, Information.DNS_SERVERS) is None
        host.configure("vpn0", metered=False, manager="resolved")
        assert mif.domain("vpn0/ipv4").metered is True, "one of them says so"
        host.configure("vpn0")
        assert mif.domain("vpn0/ipv4").metered is False
        host.rename("vpn0", "vpn1")
        assert mif.domain("vpn1/ipv4") is domain
        assert mif.domain("vpn1/ipv4").metered is False
        host.remove_route("vpn1", "0.0.0.0/0")
        assert not domain.usable


async def test_a_manager_knows_the_kind_of_link_that_the_kernel_does_not(autojump_clock: Clock) -> None:
    async with recording("usb0") as (host, _, recorder):
        host.configure("usb0", kind=InterfaceKind.CELLULAR, metered=True)
        host.remove_link("usb0")
        host.add_link("usb0")
        assert [line for line in await recorder.lines() if "No" not in line] == [
            "0 Interface usb0: cellular, up, MTU 1500, metered",
            "0 Interface usb0: ethernet, up, MTU 1500",
        ]


# ---------------------------------------------------------------- what was fetched


async def test_additional_information_comes_changes_and_expires(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, recorder):
        host.advertise("eth0", "2001:db8:2::/64", domain=PvdOption("a.example", http=True))
        host.add_pvd_information(
            "eth0",
            "A.example",
            seconds=60,
            prefixes=["2001:db8:2::/64"],
            dns_zones=["corp.example"],
            no_internet=True,
            metered=True,
            more={"vendor": 1},
        )
        assert mif.domain("eth0/a.example").get(ElementType.PVD, Information.PVD_INFORMATION) == PvdInformation(
            "a.example",
            60,
            (ip_network("2001:db8:2::/64"),),
            ("corp.example",),
            no_internet=True,
            metered=True,
            text='{"vendor": 1}',
        )
        await recorder.lines()
        await trio.sleep(61)
        host.add_pvd_information("eth0", "a.example")
        host.remove_pvd_information("eth0", "a.example")
        assert await recorder.lines() == [
            "60 No Element PvD information of eth0/a.example",
            "61 Element PvD information of eth0/a.example from pvd",
            "61 No Element PvD information of eth0/a.example",
        ]


async def test_a_portal_opens_and_is_gone(autojump_clock: Clock) -> None:
    async with recording("eth0") as (host, mif, recorder):
        host.add_lease("eth0", "198.51.100.7/24", captive_portal=PORTAL)
        host.set_portal("eth0", PORTAL, captive=True, user_portal_url="https://portal.example/")
        await recorder.lines()
        host.set_portal("eth0", PORTAL, captive=False, seconds=3600, octets_remaining=1000)
        said = mif.domain("eth0/ipv4").get(ElementType.PORTAL, Information.PORTAL)
        assert said == PortalInformation(captive=False, session_until=3600, octets_remaining=1000)
        host.remove_portal("eth0", PORTAL)
        assert await recorder.lines() == [
            "0 Element captive portal of eth0/ipv4 from portal",
            "0 No Element captive portal of eth0/ipv4",
        ]


# ---------------------------------------------------------------- misuse


async def test_what_is_not_there_is_named() -> None:
    host = SimulatedHost()
    with pytest.raises(ValueError, match="has no interface 'eth0'; it has none"):
        host.configure("eth0", metered=True)
    host.add_link("eth0")
    host.advertise("eth0")
    with pytest.raises(ValueError, match=r"no router fe80::2 has advertised on 'eth0' of the simulated host$"):
        host.stop_advertising("eth0", router="fe80::2")
    with pytest.raises(ValueError, match=r"no router fe80::1 has .* for the domain 'a\.example'"):
        host.stop_advertising("eth0", domain="a.example")
    with pytest.raises(ValueError, match="'eth0' of the simulated host has no DHCPv6 lease"):
        host.remove_dhcpv6_lease("eth0")
    with pytest.raises(ValueError, match="'eth0' of the simulated host has no route to '::/0'"):
        host.remove_route("eth0", "::/0")
    with pytest.raises(ValueError, match=r"'eth0' of the simulated host has no information about .* 'a\.example'"):
        host.remove_pvd_information("eth0", "a.example")
    with pytest.raises(ValueError, match="'eth0' of the simulated host has no portal 'https://portal"):
        host.remove_portal("eth0", PORTAL)
