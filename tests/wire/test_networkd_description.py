"""systemd-networkd's account of itself: what version 252 said, what later ones add, and garbage."""

from __future__ import annotations

import json
import math
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import (
    AdvertisedPrefix,
    AdvertisedRoute,
    DHCPv6Lease,
    LeasedAddress,
    RouterAdvertisement,
    RouterHeader,
)
from trimif._information import DelegatedPrefix, EncryptedDnsServer, Information, LeaseTimes
from trimif._model import Origin
from trimif._wire.link_dns import LinkDns, NameServer
from trimif._wire.networkd_description import LinkDescription, parse_description
from trimif._wire.networkd_routers import withdrawing

TEXT = (Path(__file__).parent / "networkd_samples.json").read_text()
"""Two uplinks with DHCP and routers, one of them with DHCPv6; a tunnel that a person configured; and loopback."""

ROUTER_A, ROUTER_B = IPv6Address("fe80::a:1"), IPv6Address("fe80::b:1")
SERVER_A, SERVER_B = IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:b::1")


def parse(text: str) -> dict[str, LinkDescription]:
    return {each.interface: each for each in parse_description(text, lambda seconds: round(seconds - 2000, 6))}


def changed(name: str, **members: Any) -> LinkDescription:
    """A link of the sample with other members."""
    links = json.loads(TEXT)["Interfaces"]
    (link,) = (each for each in links if each["Name"] == name)
    return parse(json.dumps({"Interfaces": [link | members]}))[name]


# ---------------------------------------------------------------- what version 252 said


def test_the_links() -> None:
    links = parse(TEXT)
    assert {name: (each.index, each.managed) for name, each in links.items()} == {
        "up-a": (2, True),
        "up-b": (3, True),
        "vpn0": (3, True),
        "lo": (1, False),
    }
    assert links["lo"] == LinkDescription(1, "lo", managed=False)


def test_when_the_dhcpv4_lease_ends() -> None:
    assert parse(TEXT)["up-a"].lease_ends == ((IPv4Address("198.51.100.10"), 436.266455),)


def test_dhcpv6() -> None:
    lease = parse(TEXT)["up-a"].dhcpv6
    assert lease is not None
    (address,) = lease.addresses
    valid, preferred = 405.269412, 375.269412
    assert address == LeasedAddress(IPv6Address("2001:db8:a::1000"), valid, preferred)
    assert lease == DHCPv6Lease(
        interface="up-a",
        origin=Origin("networkd", ROUTER_A),
        valid_until=address.valid_until,
        addresses=(address,),
        data=(
            (Information.DNS_SERVERS, (SERVER_A, IPv6Address("2001:db8:a::3"))),
            (Information.SEARCH_DOMAINS, ("isp-a.example", "example.com")),
            (Information.NTP_SERVERS, (SERVER_A,)),
        ),
    )
    assert parse(TEXT)["up-b"].dhcpv6 is None


def test_a_stateless_answer_has_no_end() -> None:
    lease = changed("up-a", Addresses=[]).dhcpv6
    assert lease is not None
    assert (lease.addresses, lease.valid_until, lease.origin.server) == ((), math.inf, ROUTER_A)


def test_a_router() -> None:
    (router,) = parse(TEXT)["up-b"].routers
    lifetime, valid, preferred = 1214.712158, 3914.712158, 2116.270645
    assert router == RouterAdvertisement(
        index=3,
        router=ROUTER_B,
        header=RouterHeader(until=lifetime),
        prefixes=(AdvertisedPrefix(IPv6Network("2001:db8:b::/64"), True, True, valid, preferred),),
        dns_servers=((SERVER_B, valid),),
        search_domains=(("isp-b.example", valid),),
    )


def test_routes_and_flags_of_a_router() -> None:
    """That there is DHCPv6 says that a router said so."""
    (router,) = parse(TEXT)["up-a"].routers
    assert router.header is not None
    assert (router.header.managed, router.header.other_configuration) == (True, True)
    assert router.routes == (AdvertisedRoute(IPv6Network("2001:db8:ff::/48"), 0, 2114.692146),)


def test_what_a_person_configured() -> None:
    link = parse(TEXT)["vpn0"]
    servers = (
        NameServer(IPv4Address("198.51.100.129"), None, "dns.example.com"),
        NameServer(IPv6Address("fd6d:6966:1::1"), 5353),
    )
    assert link.dns == LinkDns(servers, ("in.example",), ("corp.example", "."), default_route=False)
    assert dict(link.data) == {
        Information.NTP_SERVERS: (IPv4Address("198.51.100.129"),),
        Information.NTP_NAMES: ("time.example.com",),
    }
    assert (parse(TEXT)["up-a"].dns, parse(TEXT)["up-a"].data) == (LinkDns(), ())


# ---------------------------------------------------------------- what later versions add


def test_timers_and_prefixes_of_dhcpv6() -> None:
    prefix = {
        "Prefix": [32, 1, 13, 184, 0, 10, 1] + [0] * 9,
        "PrefixLength": 56,
        "PreferredLifetimeUSec": 2_300_000_000,
        "ValidLifetimeUSec": 2_500_000_000,
    }
    client = {"Lease": {"Timeout1USec": 2_100_000_000, "Timeout2USec": 2_200_000_000}, "Prefixes": [prefix]}
    lease = changed("up-a", DHCPv6Client=client).dhcpv6
    assert lease is not None
    delegated = DelegatedPrefix(IPv6Network("2001:db8:a:100::/56"), 500, 300)
    assert dict(lease.data)[Information.DELEGATED_PREFIXES] == (delegated,)
    assert dict(lease.data)[Information.LEASE] == LeaseTimes(100, 200, 500)


DNR = {"Priority": 1, "ServerName": "dns.example.", "Addresses": [[198, 51, 100, 1]], "Port": 443}
DNR |= {"DoHPath": "/q{?dns}", "Transports": ["doh", "carrier pigeon"], "ConfigSource": "DHCPv4"}


def test_encrypted_servers() -> None:
    server = EncryptedDnsServer(1, "dns.example", (IPv4Address("198.51.100.1"),), ("h2",), 443, "/q{?dns}")
    assert changed("up-a", DNR=[DNR]).dhcpv4 == ((Information.ENCRYPTED_DNS, (server,)),)
    from_router = DNR | {"ConfigSource": "NDisc", "ConfigProvider": list(ROUTER_B.packed)}
    assert [each for each, _ in changed("up-b", DNR=[from_router]).routers[0].encrypted_dns] == [server]


def test_pref64() -> None:
    item = {"Prefix": [0, 100, 255, 155] + [0] * 12, "PrefixLength": 96, "LifetimeUSec": 2_600_000_000}
    link = changed("up-b", NDisc={"PREF64": [item | {"ConfigProvider": list(ROUTER_B.packed)}]})
    assert link.routers[0].pref64 == ((IPv6Network("64:ff9b::/96"), 600),)


@pytest.mark.parametrize(
    ("members", "place"),
    [({}, "dhcpv4"), ({"Addresses": []}, "dhcpv6"), ({"Addresses": [], "DNS": [], "NTP": []}, "routers")],
)
def test_the_portal_is_said_where_networkd_takes_it_from(members: dict[str, Any], place: str) -> None:
    uri = "https://portal.example/api"
    without: dict[str, list[Any]] = {key: [] for key, value in members.items() if not value}
    link = changed("up-a", CaptivePortal=uri, **without)
    if place == "routers":
        link = changed("up-a", CaptivePortal=uri, SearchDomains=[], **without)
        assert link.routers[0].captive_portal == uri
    else:
        lease = link.dhcpv6.data if place == "dhcpv6" and link.dhcpv6 else link.dhcpv4
        assert dict(lease)[Information.CAPTIVE_PORTAL] == uri


# ---------------------------------------------------------------- what is not told any more


def test_withdrawing_a_part() -> None:
    (before,) = parse(TEXT)["up-a"].routers
    after = evolve(before, header=None, dns_servers=before.dns_servers[:1], routes=(), search_domains=())
    told = withdrawing(before, after, 7.0)
    assert told.header == RouterHeader(until=7.0)
    assert told.prefixes == before.prefixes
    assert told.dns_servers == (before.dns_servers[0], (before.dns_servers[1][0], 7.0))
    assert [each.until for each in told.routes] == [7.0]
    assert [until for _, until in told.search_domains] == [7.0, 7.0]


def test_withdrawing_a_router() -> None:
    (before,) = parse(TEXT)["up-a"].routers
    told = withdrawing(before, None, 7.0)
    assert {each.valid_until for each in told.prefixes} == {7.0}
    assert {until for _, until in told.dns_servers} == {7.0}
    assert (told.index, told.router) == (before.index, before.router)


# ---------------------------------------------------------------- garbage


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\0"])
def test_no_description(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse_description(text, float)


@pytest.mark.parametrize(
    "members",
    [
        {"Addresses": "none"},
        {"Addresses": [None, 7, {}, {"ConfigSource": "DHCPv4"}, {"ConfigSource": "DHCPv4", "Address": [1, 2]}]},
        {"Addresses": [{"ConfigSource": "DHCPv4", "Address": [1, 2, 3, 4], "ValidLifetimeUsec": -1}]},
        {"Addresses": [{"ConfigSource": "DHCPv6", "Address": [256] * 16}]},
        {"DNS": [{"ConfigSource": "DHCPv6", "Address": [1] * 16, "ConfigProvider": "me"}]},
        {"Routes": [{"ConfigSource": "NDisc", "ConfigProvider": [1] * 16}]},
        {
            "Routes": [
                {"ConfigSource": "NDisc", "ConfigProvider": list(ROUTER_A.packed), "DestinationPrefixLength": 999}
            ]
        },
        {"SearchDomains": [{"ConfigSource": "static", "Domain": "evil\033[2J"}]},
        {"DNSSettings": [{"DNSDefaultRoute": "perhaps"}], "NDisc": [], "DHCPv6Client": {"Lease": 7, "Prefixes": 7}},
        {"DNR": [{"ConfigSource": "DHCPv4"}, {"ConfigSource": "NDisc", "Addresses": 7}]},
        {"CaptivePortal": 7},
    ],
)
def test_what_is_malformed_is_left_out(members: dict[str, Any]) -> None:
    assert changed("up-a", **members).interface == "up-a"


@pytest.mark.parametrize("members", [{"Index": "2"}, {"Index": -1}, {"Name": "a/b"}, {"Name": None}])
def test_a_link_without_name_or_index_is_left_out(members: dict[str, Any]) -> None:
    links = json.loads(TEXT)["Interfaces"]
    assert len(parse(json.dumps({"Interfaces": [links[0] | members, links[1]]}))) == 1


@settings(max_examples=100)
@given(st.data())
def test_any_mutation(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    noise = data.draw(st.text(alphabet='[]{}":,0123456789eE-.ntf\\', max_size=6))
    try:
        parse_description(TEXT[:at] + noise + TEXT[at + data.draw(st.integers(0, 6)) :], float)
    except MalformedInput:
        return


KEYS = ["Address", "ConfigSource", "ConfigProvider", "Gateway", "Domain", "Preference", "Prefix", "Lease", "Transports"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 300) | st.sampled_from([2**80, 1.5, "DHCPv6", "NDisc", "static", "x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)
MEMBERS = ["Addresses", "Routes", "DNS", "NTP", "SearchDomains", "RouteDomains", "DNR", "NDisc", "DHCPv6Client"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(MEMBERS), JSON | st.lists(JSON, max_size=4)))
def test_any_members(members: dict[str, Any]) -> None:
    parse(json.dumps({"Interfaces": [{"Index": 2, "Name": "up-a"} | members]}))
