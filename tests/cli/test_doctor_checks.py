"""Each check of ``trimif doctor``, on pictures of a host: a healthy one says nothing, one fault says that fault."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from attrs import evolve

from trimif import ElementType, Family, Information, InterfaceKind, PortalInformation, Snapshot
from trimif.cli._doctor._checks import CHECKS, diagnose
from trimif.cli._doctor._finding import Finding
from trimif.cli._doctor._picture import Configurator, HostLease, Picture, Topic, Unseen

from .doctor_cases import CASES, NO_DEFAULT_B, NOTE, PROBLEM, SAME_SUBNET, STATELESS, WARNING, Case
from .doctor_pictures import (
    B4,
    HEALTHY,
    addresses,
    advertised,
    domain,
    element,
    route,
    way,
    with_address,
    with_data,
    with_domains,
    with_interface,
    with_resolver,
    with_settings,
    with_way,
    without_routes,
)


def found(picture: Picture) -> list[tuple[str, Finding]]:
    return [(each.check.name, finding) for each in diagnose(picture) for finding in each.findings]


def test_a_healthy_host_is_told_nothing() -> None:
    assert found(HEALTHY) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}: {case.what}")
def test_one_fault_is_one_finding(case: Case) -> None:
    ((name, finding),) = found(case.picture)
    assert (name, finding.severity, finding.subject) == (case.check, case.severity, case.subject)
    assert case.what in finding.what
    assert case.remedy in finding.remedy
    assert finding.why.endswith(".")
    assert not finding.what.endswith(".")


def test_every_check_has_a_case_here() -> None:
    in_pairs = {"ARP flux", "two programs"}
    assert {case.check for case in CASES} | in_pairs == {check.name for check in CHECKS}


# ---------------------------------------------------------------- what is no fault


def test_a_strict_filter_is_right_where_the_routing_table_leads_back() -> None:
    """One network alone, or from-source rules."""
    strict = with_settings(HEALTHY, "all", rp_filter=1)
    assert found(with_way(strict, way("up-b/ipv4", "198.51.100.70", B4, B4))) == []


@pytest.mark.parametrize(("general", "own"), [(1, 2), (2, 1), (0, 0), (0, 2)])
def test_the_larger_of_two_filters_counts(general: int, own: int) -> None:
    picture = with_settings(with_settings(HEALTHY, "all", rp_filter=general), "up-b", rp_filter=own)
    assert [name for name, _ in found(picture)] == []


def test_a_filter_is_not_to_blame_where_no_packet_leaves() -> None:
    picture = with_settings(NO_DEFAULT_B, "up-b", rp_filter=1)
    assert [name for name, _ in found(picture)] == ["default routes"]


def test_a_new_default_route_is_the_last_choice() -> None:
    picture = evolve(NO_DEFAULT_B, routes=(*NO_DEFAULT_B.routes, route("up-a", "0.0.0.0/0", metric=700)))
    ((_, finding),) = found(picture)
    assert finding.remedy.endswith("metric 800")


@pytest.mark.parametrize(
    "picture",
    [
        with_interface(HEALTHY, "up-b", mtu=1280),
        with_interface(with_settings(HEALTHY, "up-b", disable_ipv6=1), "up-b", mtu=1279, carrier=False),
        with_settings(HEALTHY, "up-a", accept_ra=0),  # this process listens itself
        evolve(HEALTHY, leases=(*HEALTHY.leases, HostLease("up-a", "networkd", ip_address("198.51.100.10")))),
        evolve(HEALTHY, leases=(*HEALTHY.leases, HostLease("up-a", "networkd", ip_address("198.51.100.11")))),
    ],
    ids=["the smallest MTU", "no IPv6 wanted", "raw sockets", "one lease told by two", "a lease left behind"],
)
def test_what_looks_like_a_fault_and_is_none(picture: Picture) -> None:
    assert found(picture) == []


def test_no_name_server_in_resolv_conf_is_right_where_no_network_tells_any() -> None:
    picture = evolve(with_resolver(HEALTHY), snapshot=Snapshot(HEALTHY.snapshot.interfaces[:1]))
    assert [name for name, _ in found(picture)] == ["networks"]


def test_a_portal_that_lets_us_through_is_no_fault() -> None:
    assert found(with_data(HEALTHY, "up-b/ipv4", {Information.PORTAL: PortalInformation(captive=False)})) == []


def test_a_vpn_needs_no_default_route() -> None:
    assert not any(finding.subject == "vpn0/ipv4" for _, finding in found(HEALTHY))


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("198.51.100.70/32", "ip route add default via 198.51.100.65 dev up-b onlink"),
        ("2001:db8:b::7/64", "ip route add 2001:db8:b::/64 dev up-b"),
        ("2001:db8:b::7/128", "ip -6 route add default dev up-b"),
    ],
)
def test_without_any_route_the_remedy_fits_the_address(address: str, remedy: str) -> None:
    family = Family.IPV6 if ":" in address else Family.IPV4
    data = element(f"up-b/{family.value}", ElementType.STATIC, dns_servers=addresses("198.51.100.65"))
    if family is Family.IPV4:
        data = element("up-b/ipv4", ElementType.STATIC, dns_servers=addresses(B4[1]), routers=addresses(B4[1]))
    picture = with_domains(without_routes(HEALTHY, "up-b"), "up-b", domain("up-b", family, address, data))
    assert [finding.remedy for name, finding in found(picture) if name == "routes"] == [remedy]


def test_a_public_server_of_two_networks_is_nobodys_leak() -> None:
    both = {Information.DNS_SERVERS: addresses("203.0.113.53")}
    picture = with_data(with_data(HEALTHY, "up-a/ipv4", both), "up-b/ipv4", both)
    assert [name for name, _ in found(with_resolver(picture, "203.0.113.53"))] == []


def test_one_network_of_both_families_leaks_to_nobody() -> None:
    interfaces = HEALTHY.snapshot.interfaces[:2]
    picture = evolve(with_resolver(HEALTHY, "198.51.100.1", "2001:db8:a::1"), snapshot=Snapshot(interfaces))
    assert found(picture) == []


def test_a_server_set_by_hand_where_no_network_tells_any_is_given_to_one() -> None:
    interfaces = HEALTHY.snapshot.interfaces[:2]
    picture = evolve(with_resolver(HEALTHY, "203.0.113.53"), snapshot=Snapshot(interfaces), server_ways=())
    for name in ("up-a/ipv4", "up-a/ipv6"):
        picture = with_data(picture, name, {Information.DNS_SERVERS: ()})
    remedy = """trimif.open_mif(static=[trimif.StaticConfiguration('up-a', dns_servers=["203.0.113.53"])])"""
    told = [(name, finding.severity, finding.remedy) for name, finding in found(picture)]
    assert told == [
        ("name servers", WARNING, remedy),
        ("name servers", WARNING, remedy),
        ("stale name servers", NOTE, remedy),
    ]


def test_a_server_of_nobodys_is_not_given_to_a_network_where_others_have_theirs() -> None:
    picture = with_data(with_resolver(HEALTHY, "203.0.113.9"), "vpn0/ipv4", {Information.DNS_SERVERS: ()})
    (finding,) = (finding for name, finding in found(picture) if name == "name servers")
    assert 'dns_servers=["ADDRESS"]' in finding.remedy


def test_arp_is_answered_for_a_neighbour_interface() -> None:
    picture = with_settings(SAME_SUBNET, "all", arp_ignore=0)
    (_overlap, (name, flux)) = found(picture)
    assert (name, flux.severity, flux.subject) == ("ARP flux", WARNING, "up-a, up-b")
    assert "198.51.100.0/26" in flux.what
    assert flux.remedy == "sysctl -w net/ipv4/conf/all/arp_ignore=1 && sysctl -w net/ipv4/conf/all/arp_announce=2"
    for quiet in ("up-a", "up-b"):
        picture = with_settings(picture, quiet, arp_ignore=1)
    assert [name for name, _ in found(picture)] == ["overlapping subnets"]


def test_several_addresses_in_two_subnets_overlap_once() -> None:
    picture = with_address(SAME_SUBNET, "up-b", "198.51.100.21/26")
    assert [name for name, _ in found(picture)] == ["overlapping subnets"]


def test_a_lease_that_somebody_else_still_has_is_not_expired() -> None:
    old = HostLease("up-b", "dhclient", ip_address("198.51.100.70"), expired=True)
    now = HostLease("up-b", "networkd", ip_address("198.51.100.70"))
    assert found(evolve(HEALTHY, leases=(old, now))) == []


def test_an_expired_lease_whose_address_is_gone_is_no_fault() -> None:
    old = HostLease("up-b", "dhclient", ip_address("198.51.100.71"), expired=True)
    assert found(evolve(HEALTHY, leases=(*HEALTHY.leases, old))) == []


@pytest.mark.parametrize("reason", [{"forwarding": 0}, {"accept_ra": 2}, {"accept_ra": 0}, {"disable_ipv6": 1}])
def test_routers_are_heard_or_not_wanted(reason: dict[str, int]) -> None:
    picture = with_settings(with_settings(HEALTHY, "up-a", forwarding=1), "up-a", **reason)
    assert not any(name == "refused routers" for name, _ in found(picture))


def test_a_bridge_of_containers_need_not_listen_to_routers() -> None:
    picture = with_interface(with_settings(HEALTHY, "up-b", forwarding=1), "up-b", kind=InterfaceKind.BRIDGE)
    assert found(picture) == []


def test_disabled_ipv6_shows_in_what_the_network_said() -> None:
    picture = with_settings(HEALTHY, "up-b", disable_ipv6=1)
    for told in (STATELESS, advertised("up-b")):
        ((_, finding),) = (each for each in found(with_domains(picture, "up-b", told)) if each[0] == "disabled IPv6")
        assert finding.severity is WARNING
    servers = with_data(picture, "up-b/ipv4", {Information.DNS_SERVERS: addresses("2001:db8::53")})
    assert any("it has IPv6 name servers" in finding.what for _, finding in found(servers))


# ---------------------------------------------------------------- two programs


DHCLIENT = Configurator("dhclient", 100, frozenset({"up-a"}), frozenset({Family.IPV4}))
DHCLIENT6 = evolve(DHCLIENT, process=101, families=frozenset({Family.IPV6}))
NETWORK_MANAGER = Configurator("NetworkManager", 50, frozenset({"up-a"}), manager=True)
NETWORKD = Configurator("networkd", 60, frozenset({"up-a", "up-b"}), manager=True)
DHCPCD = Configurator("dhcpcd", 70, frozenset({"up-a"}), manager=True)


@pytest.mark.parametrize(
    ("programs", "remedy"),
    [
        ((DHCLIENT, evolve(DHCLIENT, process=102)), "kill 102"),
        ((NETWORK_MANAGER, DHCLIENT), "kill 100"),
        ((NETWORK_MANAGER, NETWORKD), "nmcli device set up-a managed no"),
        ((NETWORKD, DHCPCD), "echo denyinterfaces up-a >> /etc/dhcpcd.conf && dhcpcd --rebind"),
        ((NETWORKD, evolve(NETWORKD, process=61)), "kill 61"),
    ],
)
def test_two_programs_for_one_interface(programs: tuple[Configurator, ...], remedy: str) -> None:
    told = [finding for name, finding in found(evolve(HEALTHY, configurators=programs)) if name == "two programs"]
    first = told[0]
    assert (first.severity, first.subject, first.remedy) == (PROBLEM, "up-a", remedy)
    for program in programs:
        assert f"{program.program} (process {program.process})" in first.what


@pytest.mark.parametrize(
    "programs",
    [
        (DHCLIENT, DHCLIENT6),
        (DHCLIENT, evolve(DHCLIENT, process=102, interfaces=frozenset({"up-b"}))),
        (DHCLIENT, evolve(NETWORKD, interfaces=frozenset({"up-b"}))),
        (DHCLIENT, evolve(NETWORK_MANAGER, interfaces=None)),
    ],
)
def test_programs_that_do_not_get_in_each_others_way(programs: tuple[Configurator, ...]) -> None:
    assert found(evolve(HEALTHY, configurators=programs)) == []


# ---------------------------------------------------------------- blind, and hostile


def test_what_could_not_be_looked_at_is_not_called_good() -> None:
    blind = evolve(HEALTHY, unseen=(Unseen(Topic.PROCESSES, "hidden"), Unseen(Topic.SETTINGS, "refused")))
    by_name = {each.check.name: each.blind for each in diagnose(blind)}
    assert by_name["two programs"] == (Topic.PROCESSES,)
    assert by_name["reverse path filters"] == (Topic.SETTINGS,)
    assert by_name["name servers"] == ()


def test_unknown_parameters_give_no_findings() -> None:
    assert found(evolve(HEALTHY, settings={})) == []
    assert found(evolve(SAME_SUBNET, settings={}))[1:] == []


def test_a_remedy_is_safe_to_paste_whatever_an_interface_is_called() -> None:
    name = "a;reboot `x`"
    renamed = evolve(
        without_routes(HEALTHY, "up-b"),
        snapshot=Snapshot(
            tuple(
                evolve(each, announcement=evolve(each.announcement, name=name))
                if each.announcement.name == "up-b"
                else each
                for each in HEALTHY.snapshot.interfaces
            )
        ),
    )
    remedies = [finding.remedy for check, finding in found(renamed) if check == "routes"]
    assert remedies == [f"ip route add 198.51.100.64/26 dev '{name}' src 198.51.100.70"]
