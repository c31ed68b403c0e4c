"""NetworkManager's texts: leases of both families, the files of devices, and what it says of links."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import DHCPv6Lease, Lease
from trimif._information import Information, LeaseTimes, RawOption
from trimif._model import InterfaceKind, Origin, Route
from trimif._wire.link_dns import LinkDns, NameServer
from trimif._wire.networkmanager import Texts, dhcp_leases, dhcpv4_lease, dhcpv6_lease, parse_device
from trimif._wire.networkmanager_links import dns_by_interface, dns_of_device, interface_name, link_configuration

# As NetworkManager 1.42 left it behind in the lab.
DEVICE = """\
[device]
managed=true
perm-hw-addr-fake=02:00:00:00:0A:02
connection-uuid=0000000a-0000-4000-8000-000000000000
nm-owned=false
route-metric-default-effective=102
next-server=198.51.100.1

[dhcp4]
dhcp4.broadcast_address=198.51.100.63
dhcp4.dhcp_client_identifier=01:02:00:00:00:0a:02
dhcp4.dhcp_lease_time=120
dhcp4.dhcp_server_identifier=198.51.100.1
dhcp4.domain_name=isp-a.example
dhcp4.domain_name_servers=198.51.100.1 198.51.100.3
dhcp4.domain_search=isp-a.example example.com
dhcp4.expiry=1795355060
dhcp4.interface_mtu=1460
dhcp4.ip_address=198.51.100.10
dhcp4.next_server=198.51.100.1
dhcp4.ntp_servers=198.51.100.1
dhcp4.rfc3442_classless_static_routes=203.0.113.64/26 198.51.100.1 0.0.0.0/0 198.51.100.1
dhcp4.routers=198.51.100.1
dhcp4.subnet_mask=255.255.255.192

[dhcp6]
dhcp6.dhcp6_client_id=00:04:33:e8:7c:10:b6:ad:ca:84:2d:29:a2:c5:ad:73:f3:86
dhcp6.dhcp6_domain_search=isp-a.example example.com
dhcp6.dhcp6_name_servers=2001:db8:a::1 2001:db8:a::3
dhcp6.dhcp6_ntp_servers=2001:db8:a::1
dhcp6.fqdn_fqdn=vm
dhcp6.iaid=5f:79:cf:fd
dhcp6.ip6_address=2001:db8:a::1000
"""
ROUTER = IPv4Address("198.51.100.1")
LEAST = {"ip_address": "198.51.100.10", "subnet_mask": "255.255.255.0", "expiry": "1000", "dhcp_lease_time": "600"}


def lease4(**more: str) -> Lease:
    return dhcpv4_lease("up-a", LEAST | more, datetime.timestamp)


def data4(**more: str) -> dict[Information[Any], Any]:
    return dict(lease4(**more).data)


# ---------------------------------------------------------------- leases


def test_a_device_with_leases_of_both_families() -> None:
    lease, lease6 = dhcp_leases("up-a", parse_device(DEVICE), datetime.timestamp)
    assert lease == Lease(
        interface="up-a",
        origin=Origin("NetworkManager", ROUTER),
        address=IPv4Address("198.51.100.10"),
        prefix_length=26,
        valid_until=1795355060,
        routers=(ROUTER,),
        routes=(Route(IPv4Network("203.0.113.64/26"), ROUTER), Route(IPv4Network("0.0.0.0/0"), ROUTER)),
        dns_servers=(ROUTER, IPv4Address("198.51.100.3")),
        search_domains=("isp-a.example", "example.com"),
        ntp_servers=(ROUTER,),
        mtu=1460,
        data=(
            (Information.LEASE, LeaseTimes(None, None, 1795355060)),
            (Information.RAW_OPTIONS, (RawOption(28, b"\xc6\x33\x64\x3f"),)),
        ),
    )
    assert isinstance(lease6, DHCPv6Lease)
    assert lease6.origin == Origin("NetworkManager")
    assert [each.address for each in lease6.addresses] == [IPv6Address("2001:db8:a::1000")]
    assert {each.valid_until for each in lease6.addresses} == {lease6.valid_until} == {math.inf}
    assert dict(lease6.data) == {
        Information.DNS_SERVERS: (IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:a::3")),
        Information.SEARCH_DOMAINS: ("isp-a.example", "example.com"),
        Information.NTP_SERVERS: (IPv6Address("2001:db8:a::1"),),
        Information.LEASE: LeaseTimes(None, None, math.inf),
    }


def test_timers_count_from_when_the_lease_began() -> None:
    times = data4(dhcp_renewal_time="300", dhcp_rebinding_time="525")[Information.LEASE]
    assert times == LeaseTimes(700, 925, 1000)


def test_a_lease_for_ever_has_no_end() -> None:
    forever = {"ip_address": "198.51.100.10", "subnet_mask": "255.255.255.0", "dhcp_lease_time": "4294967295"}
    lease = dhcpv4_lease("up-a", forever | {"dhcp_renewal_time": "300"}, datetime.timestamp)
    assert lease.valid_until == math.inf
    assert dict(lease.data)[Information.LEASE] == LeaseTimes(None, None, math.inf)


def test_further_options() -> None:
    data = data4(
        default_url="https://portal.example/api",
        wpad="http://proxy.example/wpad.dat",
        ipv6_only_preferred="1800",
        vendor_encapsulated_options="41:4e:44:52:4f:49:44:5f:4d:45:54:45:52:45:44",
        private_224="00:ff",
        nis_domain="corp",
        tcode="Europe/Berlin",
    )
    assert data[Information.CAPTIVE_PORTAL] == "https://portal.example/api"
    assert data[Information.WEB_PROXY] == "http://proxy.example/wpad.dat"
    assert data[Information.IPV6_ONLY_WAIT] == 1800
    assert data[Information.METERED] is True
    assert data[Information.RAW_OPTIONS] == (RawOption(40, b"corp"), RawOption(224, b"\0\xff"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain_name_servers": "198.51.100.1 nonsense"},
        {"interface_mtu": "67"},
        {"private_224": "0:f"},
        {"routers": ""},
    ],
)
def test_an_option_with_wrong_content_is_left_out(wrong: Mapping[str, str]) -> None:
    lease = lease4(**wrong)
    assert (lease.dns_servers, lease.mtu, lease.routers) == ((), None, ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"ip_address": ""},
        {"ip_address": "2001:db8::1"},
        {"subnet_mask": ""},
        {"subnet_mask": "255.0.255.0"},
        {"expiry": ""},
        {"expiry": "-5"},
        {"expiry": "١٢"},
        {"expiry": "99999999999"},
    ],
)
def test_what_is_no_lease(wrong: Mapping[str, str]) -> None:
    with pytest.raises(MalformedInput):
        lease4(**wrong)


def test_the_name_of_an_interface_is_checked() -> None:
    for parse, texts in ((dhcpv4_lease, LEAST), (dhcpv6_lease, {"ip6_address": "2001:db8::1"})):
        with pytest.raises(MalformedInput):
            parse("no/name", texts, datetime.timestamp)


def test_a_stateless_dhcpv6_answer_has_no_addresses() -> None:
    lease = dhcpv6_lease("up-a", {"dhcp6_name_servers": "2001:db8::53"}, datetime.timestamp)
    assert (lease.addresses, lease.valid_until) == ((), math.inf)
    assert dict(lease.data) == {Information.DNS_SERVERS: (IPv6Address("2001:db8::53"),)}


def test_a_dhcpv6_lease_of_dhclient_has_times() -> None:
    texts = {"ip6_address": "2001:db8::1", "life_starts": "1000", "max_life": "120", "preferred_life": "60"}
    timers = {"starts": "1000", "renew": "30", "rebind": "48"}
    lease = dhcpv6_lease("up-a", texts | timers, datetime.timestamp)
    (address,) = lease.addresses
    assert (address.valid_until, address.preferred_until, lease.valid_until) == (1120, 1060, 1120)
    assert dict(lease.data)[Information.LEASE] == LeaseTimes(1030, 1048, 1120)
    with pytest.raises(MalformedInput):
        dhcpv6_lease("up-a", texts | {"ip6_address": "nonsense"}, datetime.timestamp)


# ---------------------------------------------------------------- files


def test_a_device_without_leases() -> None:
    assert parse_device("[device]\nmanaged=true\n") == Texts()
    assert parse_device("# nothing\n\n") == Texts()


def test_escapes_of_key_files() -> None:
    assert parse_device("[dhcp4]\ndhcp4.root_path=\\sa\\tb\\\\c\n").dhcp4 == {"root_path": " a\tb\\c"}


@pytest.mark.parametrize("text", ["", DEVICE[:-1], "managed=true\n", "[device]\nmanaged\n", "\0\n"])
def test_what_is_no_file_of_a_device(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse_device(text)


CUTS = [match.start() for match in re.finditer(r"^dhcp4\.", DEVICE, re.MULTILINE)]


@pytest.mark.parametrize("end", CUTS[1:])
def test_a_lease_cut_off_between_two_lines_is_none(end: int) -> None:
    with pytest.raises(MalformedInput):
        dhcp_leases("up-a", parse_device(DEVICE[:end]), datetime.timestamp)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(DEVICE)), st.integers(0, 20), st.text(max_size=20)), max_size=5))
def test_any_text_is_leases_or_malformed(edits: list[tuple[int, int, str]]) -> None:
    text = DEVICE
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    try:
        leases = dhcp_leases("up-a", parse_device(text), datetime.timestamp)
    except MalformedInput:
        return
    hash(tuple(leases))


# ---------------------------------------------------------------- links

CONFIGURATION = [
    {
        "nameservers": ["198.51.100.53", "198.51.100.1"],
        "domains": ["corp.example", "~split.example"],
        "interface": "up-a",
    },
    {"nameservers": ["2001:db8:a::1"], "domains": ["isp-a.example"], "interface": "up-a", "vpn": False},
    {"nameservers": ["203.0.113.53#dns.example"], "domains": ["~."], "interface": "vpn1", "priority": 50, "vpn": True},
    {"nameservers": ["192.0.2.1"], "domains": [], "priority": 100, "vpn": False},
]


def test_dns_of_a_link_less_what_its_lease_told() -> None:
    dns = dns_by_interface(CONFIGURATION)
    device = {"Interface": "up-a", "IpInterface": "up-a", "DeviceType": 1, "Metered": 3}
    told = link_configuration("up-a", device, dns["up-a"], [lease4(domain_name_servers="198.51.100.1")])
    assert (told.interface, told.origin) == ("up-a", Origin("NetworkManager"))
    assert dict(told.data) == {
        Information.LINK_TYPE: InterfaceKind.ETHERNET,
        Information.METERED: True,
        Information.DNS_SERVERS: (IPv4Address("198.51.100.53"), IPv6Address("2001:db8:a::1")),
        Information.SEARCH_DOMAINS: ("corp.example", "isp-a.example"),
        Information.SPLIT_DOMAINS: ("split.example",),
    }


def test_dns_of_a_vpn_plugin_s_link() -> None:
    dns = dns_by_interface(CONFIGURATION)
    assert dns.keys() == {"up-a", "vpn1"}
    data = dict(link_configuration("vpn1", None, dns["vpn1"], ()).data)
    assert data[Information.LINK_TYPE] is InterfaceKind.TUNNEL
    assert data[Information.DNS_SERVERS] == (IPv4Address("203.0.113.53"),)
    assert data[Information.SPLIT_DOMAINS] == (".",)
    assert data[Information.ENCRYPTED_DNS][0].name == "dns.example"


def test_dns_of_a_device() -> None:
    ip4 = {"NameserverData": [{"address": "198.51.100.1"}, {"address": 5}, 7], "Searches": ["corp.example", "~"]}
    ip6 = {"Nameservers": [bytes(range(16)), b"short"], "Searches": ["corp.example"]}
    servers = (NameServer(IPv4Address("198.51.100.1")), NameServer(IPv6Address(bytes(range(16)))))
    assert dns_of_device(ip4, ip6) == LinkDns(servers, ("corp.example",), (".",))
    assert dns_of_device({}, {}) == LinkDns()


@pytest.mark.parametrize(
    ("metered", "expected"), [(0, None), (1, True), (2, False), (3, True), (4, False), (5, None), ("yes", None)]
)
def test_metered(metered: object, expected: bool | None) -> None:
    told = dict(link_configuration("x", {"Metered": metered}, LinkDns(), ()).data)
    assert told.get(Information.METERED) is expected


@pytest.mark.parametrize(
    ("device", "interface", "kind"),
    [
        ({"Interface": "cdc-wdm0", "IpInterface": "wwan0", "DeviceType": 8}, "wwan0", InterfaceKind.CELLULAR),
        ({"Interface": "ttyUSB0", "IpInterface": "ppp0", "DeviceType": 8}, "ppp0", InterfaceKind.CELLULAR),
        ({"Interface": "eth0", "IpInterface": "ppp0", "DeviceType": 1}, "ppp0", None),  # PPP over Ethernet
        ({"Interface": "wlan0", "IpInterface": "", "DeviceType": 2}, "wlan0", InterfaceKind.WIFI),
        ({"Interface": "wg0", "DeviceType": 29}, "wg0", InterfaceKind.TUNNEL),
        ({"Interface": "eth0.5", "DeviceType": 11}, "eth0.5", InterfaceKind.VIRTUAL),
        ({"Interface": "x", "DeviceType": 14}, "x", None),  # generic
    ],
)
def test_sorts_of_links(device: dict[str, Any], interface: str, kind: InterfaceKind | None) -> None:
    assert interface_name(device) == interface
    told = dict(link_configuration(interface, device, LinkDns(), ()).data)
    assert told.get(Information.LINK_TYPE) is kind


KEYS = ["nameservers", "domains", "interface", "address", "NameserverData", "Nameservers", "Searches", "DeviceType"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 40) | st.text(max_size=8) | st.binary(max_size=17),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(JSON, st.dictionaries(st.sampled_from([*KEYS, "Metered", "Interface"]), JSON))
def test_any_properties(configuration: Any, properties: dict[str, Any]) -> None:
    dns = dns_of_device(properties, properties)
    for interface, told in ({interface_name(properties): LinkDns()} | dns_by_interface(configuration)).items():
        hash(link_configuration(interface, properties, told + dns, ()))
