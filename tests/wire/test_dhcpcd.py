"""Blocks of dhcpcd: captured ones, what each name means, and that nothing else comes out of anything."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, LeasedAddress, RouterHeader
from trimif._information import DelegatedPrefix, DnsServerSelection, Information, LeaseTimes
from trimif._model import Origin, Route
from trimif._wire.dhcpcd import DHCP, DHCPV6, RA, Statement, dhcpv4_lease, parse_statement
from trimif._wire.dhcpcd_dhcpv6 import dhcpv6_lease
from trimif._wire.dhcpcd_routers import router_advertisements
from trimif._wire.environment import MAXIMUM_OCTETS

NOW = 1000.0

BOUND = """\
reason=BOUND
interface=up-a
protocol=dhcp
if_up=true
new_ip_address=198.51.100.10
new_subnet_cidr=26
new_network_number=198.51.100.0
new_subnet_mask=255.255.255.192
new_classless_static_routes=203.0.113.64/26 198.51.100.1 0.0.0.0/0 198.51.100.1
new_routers=198.51.100.1
new_domain_name_servers=198.51.100.1 198.51.100.3
new_domain_name=isp-a.example
new_interface_mtu=1460
new_broadcast_address=198.51.100.63
new_ntp_servers=198.51.100.1
new_dhcp_lease_time=120
new_dhcp_message_type=5
new_dhcp_server_identifier=198.51.100.1
new_dhcp_renewal_time=60
new_dhcp_rebinding_time=105
new_domain_search=isp-a.example example.com
new_captive_portal_uri=https://portal.isp-a.example/api
skip_hooks=hostname
"""
BOUND6 = """\
reason=BOUND6
interface=up-a
protocol=dhcp6
new_dhcp6_client_id=000100013295a892020000000a02
new_dhcp6_server_id=00030001020000000a01
new_dhcp6_ia_na1_iaid=00000a02
new_dhcp6_ia_na1_t1=30
new_dhcp6_ia_na1_t2=45
new_dhcp6_ia_na1_ia_addr1=2001:db8:a::1000
new_dhcp6_ia_na1_ia_addr1_pltime=60
new_dhcp6_ia_na1_ia_addr1_vltime=90
new_dhcp6_name_servers=2001:db8:a::1 2001:db8:a::3
new_dhcp6_domain_search=isp-a.example example.com
new_dhcp6_sntp_servers=2001:db8:a::1
new_dhcp6_captive_portal_uri=https://portal.isp-a.example/api
"""
ROUTERADVERT = """\
reason=ROUTERADVERT
interface=up-b
protocol=ra
nd1_from=fe80::b:1
nd1_acquired=2166
nd1_now=2167
nd1_hoplimit=64
nd1_flags=l
nd1_lifetime=900
nd1_prefix_information1_length=64
nd1_prefix_information1_flags=LA
nd1_prefix_information1_vltime=3600
nd1_prefix_information1_pltime=1800
nd1_prefix_information1_prefix=2001:db8:b::
nd1_rdnss1_lifetime=600
nd1_rdnss1_servers=2001:db8:b::1
nd1_dnssl1_lifetime=600
nd1_dnssl1_search=isp-b.example
nd1_source_address=020000000b01
nd1_addr1=2001:db8:b:0:fc5:c997:a781:6fcb/64
"""


def block(text: str) -> bytes:
    return text.strip().replace("\n", "\0").encode("latin-1") + b"\0"


def statement(text: str, **changes: str) -> Statement:
    """The statement of a block of which some values are others; an empty one is left out."""
    said = parse_statement(block(text))
    variables = {name: value for name, value in {**said.variables, **changes}.items() if value}
    return Statement(said.interface, said.protocol, variables["reason"], variables)


# ---------------------------------------------------------------- blocks


def test_a_block_says_why_of_whom_and_what() -> None:
    said = parse_statement(block(BOUND))
    assert (said.interface, said.protocol, said.reason) == ("up-a", DHCP, "BOUND")
    assert said.variables["new_interface_mtu"] == "1460"


@pytest.mark.parametrize("lost", ["reason", "interface", "protocol"])
def test_a_block_that_lacks_what_it_must_say_is_malformed(lost: str) -> None:
    text = "\n".join(line for line in BOUND.splitlines() if not line.startswith(f"{lost}="))
    with pytest.raises(MalformedInput, match=lost):
        parse_statement(block(text))


@pytest.mark.parametrize("octets", [b"", b"\0\0\0", b"=", block(BOUND).ljust(MAXIMUM_OCTETS + 1, b"x")])
def test_what_is_no_block_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_statement(octets)


def test_a_name_that_no_interface_can_have_is_malformed() -> None:
    with pytest.raises(MalformedInput):
        parse_statement(block(BOUND.replace("interface=up-a", "interface=../../etc")))


# ---------------------------------------------------------------- DHCPv4


def test_a_dhcpv4_lease() -> None:
    lease = dhcpv4_lease(parse_statement(block(BOUND)), NOW)
    assert lease is not None
    router = IPv4Address("198.51.100.1")
    assert (lease.interface, lease.origin) == ("up-a", Origin("dhcpcd", router))
    assert (lease.address, lease.prefix_length) == (IPv4Address("198.51.100.10"), 26)
    assert lease.valid_until == NOW + 120
    assert lease.routers == lease.ntp_servers == (router,)
    assert lease.routes == (
        Route(IPv4Network("203.0.113.64/26"), router),
        Route(IPv4Network("0.0.0.0/0"), router),
    )
    assert lease.dns_servers == (router, IPv4Address("198.51.100.3"))
    assert lease.search_domains == ("isp-a.example", "example.com")
    assert lease.mtu == 1460
    assert dict(lease.data) == {
        Information.LEASE: LeaseTimes(NOW + 60, NOW + 105, NOW + 120),
        Information.CAPTIVE_PORTAL: "https://portal.isp-a.example/api",
    }


def test_data_that_few_servers_send() -> None:
    more = {
        "new_ipv6_only_preferred": "1800",
        "new_wpad_url": "http://198.51.100.1/wpad.dat",
        "new_vendor_encapsulated_options": b"ANDROID_METERED".hex(),
        "new_rdnss_selection_prf": "1",
        "new_rdnss_selection_primary": "198.51.100.7",
        "new_rdnss_selection_domains": "corp.example",
    }
    lease = dhcpv4_lease(statement(BOUND, **more), NOW)
    assert lease is not None
    data = dict(lease.data)
    assert data[Information.IPV6_ONLY_WAIT] == 1800
    assert data[Information.WEB_PROXY] == "http://198.51.100.1/wpad.dat"
    assert data[Information.METERED] is True
    expected = DnsServerSelection(IPv4Address("198.51.100.7"), 1, ("corp.example",))
    assert data[Information.DNS_SELECTION] == (expected,)


def test_a_block_without_an_address_says_that_there_is_no_lease() -> None:
    assert dhcpv4_lease(statement(BOUND.replace("new_", "old_"), reason="EXPIRE"), NOW) is None


def test_an_address_set_by_a_person_is_no_lease() -> None:
    assert dhcpv4_lease(statement(BOUND, reason="STATIC"), NOW) is None


@pytest.mark.parametrize("seconds", ["", str(0xFFFFFFFF)])
def test_a_lease_without_end(seconds: str) -> None:
    lease = dhcpv4_lease(statement(BOUND, new_dhcp_lease_time=seconds), NOW)
    assert lease is not None
    assert lease.valid_until == math.inf


def test_an_option_whose_content_is_wrong_is_left_out() -> None:
    wrong = {
        "new_routers": "198.51.100.1 router",
        "new_interface_mtu": "99999",
        "new_domain_search": "isp_a..example",
        "new_domain_name": "",
        "new_classless_static_routes": "0.0.0.0/0",
        "new_captive_portal_uri": "portal",
        "new_ntp_servers": "2001:db8::1",
    }
    lease = dhcpv4_lease(statement(BOUND, **wrong), NOW)
    assert lease is not None
    assert (lease.routers, lease.mtu, lease.search_domains, lease.routes, lease.ntp_servers) == ((), None, (), (), ())
    assert Information.CAPTIVE_PORTAL not in dict(lease.data)
    assert len(lease.dns_servers) == 2


def test_an_address_that_is_none_is_malformed() -> None:
    with pytest.raises(MalformedInput):
        dhcpv4_lease(statement(BOUND, new_ip_address="198.51.100.300"), NOW)


# ---------------------------------------------------------------- DHCPv6


def test_a_dhcpv6_lease() -> None:
    lease = dhcpv6_lease(parse_statement(block(BOUND6)), NOW)
    assert lease is not None
    assert (lease.interface, lease.origin, lease.valid_until) == ("up-a", Origin("dhcpcd"), NOW + 90)
    assert lease.addresses == (LeasedAddress(IPv6Address("2001:db8:a::1000"), NOW + 90, NOW + 60),)
    data = dict(lease.data)
    assert data[Information.LEASE] == LeaseTimes(NOW + 30, NOW + 45, NOW + 90)
    assert data[Information.DNS_SERVERS] == (IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:a::3"))
    assert data[Information.SEARCH_DOMAINS] == ("isp-a.example", "example.com")
    assert data[Information.NTP_SERVERS] == (IPv6Address("2001:db8:a::1"),)
    assert data[Information.CAPTIVE_PORTAL] == "https://portal.isp-a.example/api"
    assert Information.RAW_OPTIONS not in data


def test_prefixes_that_were_delegated_and_more_servers() -> None:
    more = {
        "new_dhcp6_ia_pd1_iaid": "00000001",
        "new_dhcp6_ia_pd1_t1": "100",
        "new_dhcp6_ia_pd1_t2": "200",
        "new_dhcp6_ia_pd1_prefix1_pltime": "300",
        "new_dhcp6_ia_pd1_prefix1_vltime": "400",
        "new_dhcp6_ia_pd1_prefix1_length": "56",
        "new_dhcp6_ia_pd1_prefix1": "2001:db8:ff00::",
        "new_dhcp6_ntp_server_addr": "2001:db8:a::7",
        "new_dhcp6_ntp_server_fqdn": "time.example",
        "new_dhcp6_rdnss_selection_server": "2001:db8:a::9",
        "new_dhcp6_rdnss_selection_prf": "3",
        "new_dhcp6_rdnss_selection_domains": "corp.example",
    }
    lease = dhcpv6_lease(statement(BOUND6, **more), NOW)
    assert lease is not None
    data = dict(lease.data)
    prefix = DelegatedPrefix(IPv6Network("2001:db8:ff00::/56"), NOW + 400, NOW + 300)
    assert data[Information.DELEGATED_PREFIXES] == (prefix,)
    assert data[Information.LEASE] == LeaseTimes(NOW + 30, NOW + 45, NOW + 400)
    assert IPv6Address("2001:db8:a::7") in data[Information.NTP_SERVERS]
    assert data[Information.NTP_NAMES] == ("time.example",)
    selection = DnsServerSelection(IPv6Address("2001:db8:a::9"), -1, ("corp.example",))
    assert data[Information.DNS_SELECTION] == (selection,)


def test_configuration_without_addresses() -> None:
    text = "reason=INFORM6\ninterface=up-a\nprotocol=dhcp6\nnew_dhcp6_name_servers=2001:db8:a::1\n"
    lease = dhcpv6_lease(statement(text, new_dhcp6_info_refresh_time="3600"), NOW)
    assert lease is not None
    assert (lease.addresses, lease.valid_until) == ((), NOW + 3600)


@pytest.mark.parametrize("text", [BOUND6.replace("new_", "old_"), "reason=DELEGATED6\ninterface=a\nprotocol=dhcp6\n"])
def test_a_block_without_options_says_that_there_is_nothing(text: str) -> None:
    assert dhcpv6_lease(parse_statement(block(text)), NOW) is None


# ---------------------------------------------------------------- routers


def test_a_router() -> None:
    (heard,) = router_advertisements(parse_statement(block(ROUTERADVERT)), 7, NOW)
    came = NOW - 1
    assert (heard.index, heard.router) == (7, IPv6Address("fe80::b:1"))
    assert heard.header == RouterHeader(until=came + 900, preference=-1, hop_limit=64)
    prefix = IPv6Network("2001:db8:b::/64")
    assert heard.prefixes == (AdvertisedPrefix(prefix, True, True, came + 3600, came + 1800),)
    assert heard.dns_servers == ((IPv6Address("2001:db8:b::1"), came + 600),)
    assert heard.search_domains == (("isp-b.example", came + 600),)
    assert heard.mtu is None


def test_several_routers_with_several_options_and_what_newer_versions_show() -> None:
    second = ROUTERADVERT.replace("nd1_", "nd2_").replace("fe80::b:1", "fe80::b:2%up-b").partition("protocol=ra\n")[2]
    more = {
        "nd1_flags": "MOh",
        "nd1_mtu_mtu": "1480",
        "nd1_rdnss2_lifetime": "0",
        "nd1_rdnss2_servers": "2001:db8:b::2 2001:db8:b::3",
        "nd1_route_information1_length": "48",
        "nd1_route_information1_prf": "1",
        "nd1_route_information1_lifetime": "1800",
        "nd1_route_information1_prefix": "2001:db8:ff::",
    }
    first, other = router_advertisements(statement(ROUTERADVERT + second, **more), 7, NOW)
    assert other.router == IPv6Address("fe80::b:2")
    assert first.header is not None
    assert (first.header.managed, first.header.other_configuration, first.header.preference) == (True, True, 1)
    assert first.mtu == 1480
    assert first.routes == (AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), 1, NOW - 1 + 1800),)
    assert [until for _, until in first.dns_servers] == [NOW - 1 + 600, NOW - 1, NOW - 1]


def test_an_option_of_a_router_whose_content_is_wrong_is_left_out() -> None:
    wrong = {"nd1_prefix_information1_length": "200", "nd1_rdnss1_servers": "x", "nd1_dnssl1_search": "a..b"}
    (heard,) = router_advertisements(statement(ROUTERADVERT, **wrong), 7, NOW)
    assert (heard.prefixes, heard.dns_servers, heard.search_domains) == ((), (), ())
    assert heard.header is not None


@pytest.mark.parametrize("name", ["nd1_from", "nd1_lifetime", "nd1_acquired", "nd1_hoplimit"])
def test_a_router_without_a_header_is_malformed(name: str) -> None:
    with pytest.raises(MalformedInput):
        router_advertisements(statement(ROUTERADVERT, **{name: "?"}), 7, NOW)


def test_no_routers() -> None:
    said = parse_statement(block("reason=ROUTERADVERT\ninterface=up-b\nprotocol=ra\nifcarrier=down\n"))
    assert router_advertisements(said, 7, NOW) == ()


# ---------------------------------------------------------------- anything


def understand(octets: bytes) -> None:
    """Everything that is made of a block; must raise nothing but MalformedInput."""
    try:
        said = parse_statement(octets)
        for read in (dhcpv4_lease, dhcpv6_lease):
            read(said, NOW)
        router_advertisements(said, 1, NOW)
    except MalformedInput:
        return


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_octets(octets: bytes) -> None:
    understand(octets)


LINES = [line for text in (BOUND, BOUND6, ROUTERADVERT) for line in text.splitlines()]
NAMES = st.sampled_from([line.partition("=")[0] for line in LINES])
VALUES = st.sampled_from([line.partition("=")[2] for line in LINES]) | st.text(max_size=20) | st.integers().map(str)


@given(st.dictionaries(NAMES, VALUES), st.sampled_from([DHCP, DHCPV6, RA]))
@settings(max_examples=200, deadline=None)
def test_any_values_under_known_names(variables: dict[str, str], protocol: str) -> None:
    text = "\0".join(f"{name}={value}" for name, value in variables.items())
    understand(f"{text}\0reason=BOUND\0interface=up-a\0protocol={protocol}\0".encode("utf-8", "replace"))
