"""What the elements of a domain say, where each datum came from, and how long it lasts."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from attrs import evolve

from trimif import (
    Datum,
    ElementType,
    EncryptedDnsServer,
    Information,
    InterfaceKind,
    LeaseTimes,
    Origin,
    PortalInformation,
    PvdInformation,
    PvdOption,
    RawOption,
    by_router,
)
from trimif._facts import (
    AdditionalInformation,
    AdvertisedDomain,
    AllLeases,
    AllLinkConfigurations,
    LinkConfiguration,
    PortalStatus,
    RouteFact,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import Data

from .small_host import ETH0, LEASED, NOW, SLAAC, SmallHost, advertisement, dhcpv4, dhcpv6, dhcpv6_address, values

RA, DHCPV6, DHCPV4, STATIC = ElementType.RA, ElementType.DHCPV6, ElementType.DHCPV4, ElementType.STATIC
ROUTER = Origin("router advertisement", IPv6Address("fe80::1"))
PORTAL = "https://portal.example/api"


# ---------------------------------------------------------------- router advertisements


def test_an_advertisement_with_everything() -> None:
    server = EncryptedDnsServer(1, "dns.example", alpn=("dot",))
    worse = EncryptedDnsServer(7, "dns.example", alpn=("h2",))
    option = RawOption(200, b"abc")
    host = SmallHost(
        ETH0,
        SLAAC,
        advertisement(
            mtu=1480,
            search_domains=(("example.com", math.inf),),
            captive_portal=PORTAL,
            pref64=((IPv6Network("64:ff9b::/96"), NOW + 600),),
            encrypted_dns=((worse, NOW + 600), (server, NOW + 600)),
            raw_options=(option,),
        ),
    )
    expected: dict[Information[Any], object] = {
        Information.MTU: 1480,
        Information.SEARCH_DOMAINS: ("example.com",),
        Information.CAPTIVE_PORTAL: PORTAL,
        Information.PREF64: (IPv6Network("64:ff9b::/96"),),
        Information.ENCRYPTED_DNS: (server, worse),
        Information.RAW_OPTIONS: (option,),
        Information.PREFIXES: (IPv6Network("2001:db8:2::/64"),),
        Information.ROUTERS: (IPv6Address("fe80::1"),),
    }
    for information, data in expected.items():
        assert host.get("eth0/ipv6", RA, information).data == data
    host.at(NOW + 600)
    assert "says nothing of PREF64" in host.refusal("eth0/ipv6", RA, Information.PREF64)
    assert host.get("eth0/ipv6", RA, Information.CAPTIVE_PORTAL).data == PORTAL


def test_what_is_nested_in_the_domain_option_wins() -> None:
    outer = advertisement(pvd=PvdOption("pvd.example"), mtu=1500)
    inner = RouterAdvertisement(2, outer.router, RouterHeader(NOW + 60, managed=True), mtu=1400)
    assert outer.domain is not None
    host = SmallHost(ETH0, SLAAC, evolve(outer, domain=AdvertisedDomain(outer.domain.option, inner)))
    assert host.get("eth0/pvd.example", RA, Information.MTU).data == 1400
    (router,) = host.get("eth0/pvd.example", RA, Information.ROUTERS).provenance
    assert router.valid_until == NOW + 60


def test_each_datum_has_its_origin_and_deadline() -> None:
    host = SmallHost(ETH0, SLAAC, advertisement(), advertisement("fe80::2", until=NOW + 60, server="2001:db8:2::54"))
    host.at(NOW + 10)
    host.tell(advertisement("fe80::2", until=NOW + 70, server="2001:db8:2::54"))
    answer = host.get("eth0/ipv6", RA, Information.DNS_SERVERS)
    assert answer.provenance == (
        Datum(IPv6Address("2001:db8:2::53"), ROUTER, NOW, NOW + 1800),
        Datum(
            IPv6Address("2001:db8:2::54"),
            Origin("router advertisement", IPv6Address("fe80::2")),
            NOW + 10,
            NOW + 70,
        ),
    )
    assert answer.data == tuple(each.value for each in answer.provenance)


def test_what_two_say_is_valid_as_long_as_one_of_them_says() -> None:
    host = SmallHost(ETH0, SLAAC, advertisement(until=NOW + 60), advertisement("fe80::2"))
    (datum,) = host.get("eth0/ipv6", RA, Information.DNS_SERVERS).provenance
    assert (datum.origin.server, datum.valid_until) == (IPv6Address("fe80::2"), NOW + 1800)


def test_a_router_that_comes_back_has_said_nothing_yet() -> None:
    host = SmallHost(ETH0, advertisement(until=NOW + 60, mtu=1400, captive_portal=PORTAL))
    host.at(NOW + 60)
    assert host.domains() == []
    host.tell(advertisement(until=NOW + 90))
    assert "says nothing of MTU" in host.refusal("eth0/ipv6", RA, Information.MTU)


@pytest.mark.parametrize("heard", [False, True])
def test_a_manager_that_makes_addresses_itself_says_so_of_the_prefix_only(heard: bool) -> None:
    """So do NetworkManager and systemd-networkd, which switch off what the kernel would do."""
    router, ra = IPv6Address("fe80::1"), RouteProtocol.ROUTER_ADVERTISEMENT
    routes = (
        RouteFact(2, IPv6Network("2001:db8:2::/64"), protocol=ra),
        RouteFact(2, IPv6Network("::/0"), router, protocol=ra),
    )
    host = SmallHost(ETH0, *routes, SLAAC, *([advertisement()] if heard else []), grouping=by_router)
    assert host.domains() == ["eth0/fe80::1 RA 2001:db8:2::10"]
    assert values(host.get("eth0/fe80::1", RA, Information.PREFIXES)) == ["2001:db8:2::/64"]


def test_dead_routers_make_room() -> None:
    host = SmallHost(ETH0, *(advertisement(f"fe80::{number}", until=NOW + 60) for number in range(1, 17)))
    host.tell(advertisement("fe80::beef"))
    assert "fe80::beef" not in values(host.get("eth0/ipv6", RA, Information.ROUTERS))
    host.at(NOW + 61)
    host.tell(advertisement("fe80::beef"))
    assert values(host.get("eth0/ipv6", RA, Information.ROUTERS)) == ["fe80::beef"]


# ---------------------------------------------------------------- leases


def test_an_address_of_dhcpv6_is_not_the_routers_though_it_is_in_its_prefix() -> None:
    host = SmallHost(ETH0, SLAAC, dhcpv6_address("2001:db8:2::99"), advertisement(), dhcpv6("2001:db8:2::99"))
    assert host.domains() == ["eth0/ipv6 RA DHCPV6 2001:db8:2::10 2001:db8:2::99"]
    (ra, lease) = host.core.domain(next(iter(host.core.domains))).elements  # type: ignore[union-attr]
    assert [str(each) for each in ra.claims] == ["2001:db8:2::10"]
    assert [str(each) for each in lease.claims] == ["2001:db8:2::99"]


def test_a_leased_address_is_valid_no_longer_than_its_lease() -> None:
    host = SmallHost(ETH0, dhcpv6_address("2001:db8:2::99"), dhcpv6("2001:db8:2::99"))
    (address,) = host.core.snapshot().interfaces[0].domains[0].addresses
    assert (address.valid_until, address.preferred_until) == (NOW + 3600, NOW + 3000)
    host.at(NOW + 3601)  # long after it settled: the kernel has it for ever, so it is somebody's by now
    assert host.domains() == ["eth0/ipv6 STATIC 2001:db8:2::99"]


def test_stateless_dhcpv6_lasts_until_its_refresh_is_overdue() -> None:
    host = SmallHost(ETH0, advertisement(until=math.inf, other=True), dhcpv6(until=NOW + 600))
    assert host.domains() == ["eth0/ipv6 RA DHCPV6"]
    assert values(host.get("eth0/ipv6", DHCPV6, Information.DNS_SERVERS)) == ["2001:db8:2::66"]
    host.at(NOW + 600)
    assert host.domains() == ["eth0/ipv6 RA"]


def test_a_renewal_is_no_change_of_content_and_other_options_are() -> None:
    def times(until: float) -> Data:
        return ((Information.LEASE, LeaseTimes(until - 1800, until - 600, until)),)

    def revision() -> int:
        return host.core.snapshot().interfaces[0].domains[0].elements[0].announcement.revision

    host = SmallHost(ETH0, LEASED, dhcpv4(NOW + 3600, times(NOW + 3600)))
    host.tell(dhcpv4(NOW + 7200, times(NOW + 7200)))
    assert revision() == 1
    assert host.get("eth0/ipv4", DHCPV4, Information.LEASE).data.valid_until == NOW + 7200
    host.tell(dhcpv4(NOW + 7200, (*times(NOW + 7200), (Information.CAPTIVE_PORTAL, PORTAL))))
    assert revision() == 2


def test_an_element_that_comes_back_goes_on_counting() -> None:
    """A reader who slept must not take its second life for the first."""
    host = SmallHost(ETH0, SLAAC, advertisement(), dhcpv6())
    host.tell(AllLeases("dhclient -6", ()))
    host.tell(dhcpv6(data=((Information.NTP_NAMES, ("time.example",)),)))
    elements = host.core.snapshot().interfaces[0].domains[0].elements
    assert [each.announcement.revision for each in elements] == [1, 2]


# ---------------------------------------------------------------- what managers know


def test_a_manager_knows_the_name_servers_of_a_tunnel_and_not_of_a_lease() -> None:
    told: Data = (
        (Information.DNS_SERVERS, (IPv4Address("198.51.2.66"), IPv6Address("2001:db8:2::66"))),
        (Information.SPLIT_DOMAINS, ("corp.example",)),
    )
    known = AllLinkConfigurations("resolved", (LinkConfiguration("eth0", Origin("resolved"), told),))
    host = SmallHost(ETH0, LEASED, known)
    host.at(NOW + 3)
    assert values(host.get("eth0/ipv4", STATIC, Information.DNS_SERVERS)) == ["198.51.2.66"]
    assert host.get("eth0/ipv4", STATIC, Information.SPLIT_DOMAINS).provenance == (
        Datum("corp.example", Origin("resolved"), NOW),
    )
    host.tell(dhcpv4())
    assert host.domains() == ["eth0/ipv4 DHCPV4 198.51.2.10"]
    assert values(host.get("eth0/ipv4", DHCPV4, Information.DNS_SERVERS)) == ["198.51.2.1"]


@pytest.mark.parametrize(
    ("by_manager", "by_network", "metered"),
    [(None, None, None), (False, None, False), (False, True, True), (None, True, True), (True, None, True)],
)
def test_metered_if_anybody_says_so(by_manager: bool | None, by_network: bool | None, metered: bool | None) -> None:
    told: Data = () if by_manager is None else ((Information.METERED, by_manager),)
    known = AllLinkConfigurations("NetworkManager", (LinkConfiguration("eth0", Origin("NetworkManager"), told),))
    lease: Data = () if by_network is None else ((Information.METERED, by_network),)
    host = SmallHost(ETH0, LEASED, known, dhcpv4(data=lease))
    assert host.core.snapshot().interfaces[0].announcement.details.metered is metered
    if metered is None:
        assert "says nothing of METERED" in host.refusal("eth0/ipv4", DHCPV4, Information.METERED)
    else:
        assert host.get("eth0/ipv4", DHCPV4, Information.METERED).data is metered


def test_the_sort_of_link_is_the_kernels_word_unless_a_manager_knows_better() -> None:
    told: Data = ((Information.LINK_TYPE, InterfaceKind.CELLULAR),)
    known = AllLinkConfigurations("NetworkManager", (LinkConfiguration("eth0", Origin("NetworkManager"), told),))
    host = SmallHost(ETH0, LEASED, dhcpv4())
    assert host.get("eth0/ipv4", DHCPV4, Information.LINK_TYPE).data is InterfaceKind.ETHERNET
    host.tell(known)
    assert host.get("eth0/ipv4", DHCPV4, Information.LINK_TYPE).data is InterfaceKind.CELLULAR
    host.tell(evolve(ETH0, kind=InterfaceKind.BRIDGE))
    assert host.get("eth0/ipv4", DHCPV4, Information.LINK_TYPE).data is InterfaceKind.BRIDGE


# ---------------------------------------------------------------- what was fetched inside the domain


def test_additional_information_is_an_element_until_it_expires() -> None:
    information = PvdInformation("pvd.example", NOW + 600, dns_zones=("corp.example",), metered=True)
    host = SmallHost(ETH0, SLAAC, advertisement(pvd=PvdOption("pvd.example", http=True)))
    host.tell(AdditionalInformation(2, "other.example", evolve(information, identifier="other.example")))
    assert host.domains() == ["eth0/pvd.example RA 2001:db8:2::10"]
    host.tell(AdditionalInformation(2, "pvd.example", information))
    assert host.domains() == ["eth0/pvd.example RA PVD 2001:db8:2::10"]
    assert host.get("eth0/pvd.example", ElementType.PVD, Information.PVD_INFORMATION).data == information
    assert host.get("eth0/pvd.example", ElementType.PVD, Information.SPLIT_DOMAINS).data == ("corp.example",)
    assert host.get("eth0/pvd.example", ElementType.PVD, Information.METERED).data is True
    host.at(NOW + 600)
    assert host.domains() == ["eth0/pvd.example RA 2001:db8:2::10"]


def test_additional_information_can_be_taken_back_and_goes_with_the_link() -> None:
    told = AdditionalInformation(2, "pvd.example", PvdInformation("pvd.example", math.inf))
    said = advertisement(pvd=PvdOption("pvd.example", http=True))
    host = SmallHost(ETH0, SLAAC, said, told, evolve(told, information=None))
    assert host.domains() == ["eth0/pvd.example RA 2001:db8:2::10"]
    host.tell(told, evolve(ETH0, up=False), ETH0, SLAAC, said)
    assert host.domains() == ["eth0/pvd.example RA 2001:db8:2::10"]


def test_a_portal_belongs_to_the_domains_that_were_told_of_it() -> None:
    status = PortalStatus(2, PORTAL, PortalInformation(captive=True, session_until=NOW + 60))
    host = SmallHost(ETH0, SLAAC, LEASED, advertisement(captive_portal=PORTAL), dhcpv4(), status)
    assert host.domains() == ["eth0/ipv4 DHCPV4 198.51.2.10", "eth0/ipv6 RA PORTAL 2001:db8:2::10"]
    assert host.get("eth0/ipv6", ElementType.PORTAL, Information.PORTAL).data == status.information
    host.tell(evolve(status, information=None))
    assert host.domains()[1] == "eth0/ipv6 RA 2001:db8:2::10"


# ---------------------------------------------------------------- what was set by hand


def test_a_route_that_was_set_for_a_time_ends_with_it() -> None:
    gateway = IPv4Address("198.51.2.1")
    route = RouteFact(2, IPv4Network("0.0.0.0/0"), gateway, protocol=RouteProtocol.STATIC, expires=NOW + 60)
    host = SmallHost(ETH0, LEASED, route)
    host.at(NOW + 3)
    (datum,) = host.get("eth0/ipv4", STATIC, Information.ROUTERS).provenance
    assert (datum.value, datum.valid_until) == (gateway, NOW + 60)
    host.at(NOW + 60)
    assert "says nothing of ROUTERS" in host.refusal("eth0/ipv4", STATIC, Information.ROUTERS)


def test_a_tunnel_has_a_default_route_and_no_router() -> None:
    host = SmallHost(ETH0, LEASED, RouteFact(2, IPv4Network("0.0.0.0/0"), protocol=RouteProtocol.STATIC))
    host.at(NOW + 3)
    (domain,) = host.core.domains
    view = host.core.view(domain, NOW)
    assert view is not None
    assert (view.default_route, view.routers) == (True, frozenset())
