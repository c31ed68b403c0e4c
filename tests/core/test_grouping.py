"""Which elements make a domain: the draft's rule, RFC 7556's, RFC 8801's, and one's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from trimif import (
    ElementType,
    Evidence,
    Family,
    Group,
    Grouping,
    Information,
    PvdOption,
    by_family,
    by_interface,
    by_router,
)
from trimif._facts import Fact

from .small_host import (
    ETH0,
    LEASED,
    NOW,
    SLAAC,
    SmallHost,
    advertisement,
    dhcpv4,
    dhcpv6,
    dhcpv6_address,
    values,
)

A, B = PvdOption("pvd.a.example"), PvdOption("pvd.b.example")
LEGACY_A, LEGACY_B = PvdOption("pvd.a.example", legacy=True), PvdOption("pvd.b.example", legacy=True)
DUAL_STACK: tuple[Fact, ...] = (ETH0, SLAAC, LEASED, advertisement(), dhcpv4())


@pytest.mark.parametrize(
    ("grouping", "domains"),
    [
        (by_family, ["eth0/ipv4 DHCPV4 198.51.2.10", "eth0/ipv6 RA 2001:db8:2::10"]),
        (by_interface, ["eth0/implicit RA DHCPV4 2001:db8:2::10 198.51.2.10"]),
        (by_router, ["eth0/fe80::1 RA DHCPV4 2001:db8:2::10 198.51.2.10"]),
    ],
)
def test_without_explicit_domains(grouping: Grouping, domains: list[str]) -> None:
    assert SmallHost(*DUAL_STACK, grouping=grouping).domains() == domains


@pytest.mark.parametrize(
    ("grouping", "domains"),
    [
        (by_family, ["eth0/ipv4 DHCPV4 198.51.2.10", "eth0/ipv6 RA 2001:db8:2::10 2001:db8:3::10"]),
        (by_interface, ["eth0/implicit RA DHCPV4 2001:db8:2::10 2001:db8:3::10 198.51.2.10"]),
        (
            by_router,
            [
                "eth0/fe80::1 RA DHCPV4 2001:db8:2::10 198.51.2.10",
                "eth0/fe80::2 RA DHCPV4 2001:db8:3::10 198.51.2.10",
            ],
        ),
    ],
)
def test_two_routers_on_one_link(grouping: Grouping, domains: list[str]) -> None:
    second = (advertisement("fe80::2", prefix="2001:db8:3::/64"), dhcpv6_address("2001:db8:3::10"))
    host = SmallHost(ETH0, SLAAC, second[1], LEASED, advertisement(), second[0], dhcpv4(), grouping=grouping)
    assert host.domains() == domains


def test_without_a_router_there_is_one_domain_of_the_rest() -> None:
    assert SmallHost(ETH0, LEASED, dhcpv4(), grouping=by_router).domains() == ["eth0/implicit DHCPV4 198.51.2.10"]


# ---------------------------------------------------------------- explicit domains


@pytest.mark.parametrize("grouping", [by_family, by_interface, by_router])
def test_an_explicit_domain_is_one_of_its_own(grouping: Grouping) -> None:
    host = SmallHost(ETH0, SLAAC, advertisement(pvd=A), grouping=grouping)
    assert host.domains() == ["eth0/pvd.a.example RA 2001:db8:2::10"]
    (announcement,) = (each.announcement for each in host.core.snapshot().interfaces[0].domains)
    assert announcement.explicit_id == "pvd.a.example"
    assert announcement.families == {Family.IPV6}
    assert host.get("eth0/pvd.a.example", ElementType.RA, Information.PVD).data == A


def test_one_router_speaks_for_several_domains() -> None:
    host = SmallHost(
        ETH0,
        SLAAC,
        dhcpv6_address("2001:db8:3::10"),
        dhcpv6_address("2001:db8:4::10"),
        advertisement(),
        advertisement(pvd=A, prefix="2001:db8:3::/64"),
        advertisement(pvd=B, prefix="2001:db8:4::/64"),
    )
    assert host.domains() == [
        "eth0/ipv6 RA 2001:db8:2::10",
        "eth0/pvd.a.example RA 2001:db8:3::10",
        "eth0/pvd.b.example RA 2001:db8:4::10",
    ]


def test_two_routers_speak_for_one_domain_and_the_preferred_one_is_first() -> None:
    host = SmallHost(ETH0, SLAAC, advertisement(pvd=A), advertisement("fe80::2", pvd=A, preference=1))
    assert host.domains() == ["eth0/pvd.a.example RA 2001:db8:2::10"]
    assert values(host.get("eth0/pvd.a.example", ElementType.RA, Information.ROUTERS)) == ["fe80::2", "fe80::1"]


def test_what_only_the_kernel_passed_on_is_left_out_where_the_router_itself_was_heard() -> None:
    """The kernel can't say that the options were those of an explicit domain."""
    partly = advertisement(prefix=None)
    partly = type(partly)(2, partly.router, dns_servers=partly.dns_servers)
    assert SmallHost(ETH0, partly).domains() == ["eth0/ipv6 RA"]
    assert SmallHost(ETH0, SLAAC, partly, advertisement(pvd=A)).domains() == ["eth0/pvd.a.example RA 2001:db8:2::10"]
    assert SmallHost(ETH0, SLAAC, advertisement(pvd=A), partly).domains() == ["eth0/pvd.a.example RA 2001:db8:2::10"]


def test_nothing_of_an_explicit_domain_stays_in_the_implicit_one() -> None:
    """The kernel passes on the prefixes of both before trimif's own listener has its turn."""
    both = advertisement(), advertisement(pvd=A, prefix="2001:db8:3::/64")
    partly = [type(each)(2, each.router, prefixes=each.prefixes) for each in both]
    host = SmallHost(ETH0, SLAAC, dhcpv6_address("2001:db8:3::10"), *partly, *both)
    assert host.domains() == ["eth0/ipv6 RA 2001:db8:2::10", "eth0/pvd.a.example RA 2001:db8:3::10"]


def test_a_domain_is_never_named_like_an_implicit_one() -> None:
    host = SmallHost(ETH0, SLAAC, LEASED, dhcpv4(), advertisement(pvd=PvdOption("ipv4")))
    assert host.domains() == ["eth0/ipv4 DHCPV4 198.51.2.10", "eth0/ipv4. RA 2001:db8:2::10"]


@pytest.mark.parametrize(
    ("options", "domains"),
    [
        ([A], ["eth0/ipv4 DHCPV4 198.51.2.10", "eth0/pvd.a.example RA 2001:db8:2::10"]),
        ([LEGACY_A], ["eth0/pvd.a.example RA DHCPV4 2001:db8:2::10 198.51.2.10"]),
        (
            [LEGACY_A, B],
            ["eth0/pvd.a.example RA DHCPV4 2001:db8:2::10 198.51.2.10", "eth0/pvd.b.example RA 2001:db8:2::10"],
        ),
        (
            [LEGACY_A, LEGACY_B],
            [
                "eth0/ipv4 DHCPV4 198.51.2.10",
                "eth0/pvd.a.example RA 2001:db8:2::10",
                "eth0/pvd.b.example RA 2001:db8:2::10",
            ],
        ),
    ],
)
def test_dhcpv4_goes_to_the_one_domain_with_the_legacy_flag(options: list[PvdOption], domains: list[str]) -> None:
    heard = [advertisement(f"fe80::{number}", pvd=option) for number, option in enumerate(options, 1)]
    host = SmallHost(ETH0, SLAAC, LEASED, dhcpv4(), *heard)
    assert host.domains() == domains


@pytest.mark.parametrize(("first", "second"), [(True, False), (True, True), (False, False)])
def test_stateless_dhcpv6_goes_to_every_domain_whose_router_says_so(first: bool, second: bool) -> None:
    host = SmallHost(
        ETH0, SLAAC, dhcpv6(), advertisement(pvd=A, other=first), advertisement("fe80::2", pvd=B, other=second)
    )
    told = [line.split()[0] for line in host.domains() if "DHCPV6" in line]
    expected = ["eth0/pvd.a.example"] * first + ["eth0/pvd.b.example"] * second
    assert told == (expected or ["eth0/ipv6"])  # nothing is lost


@pytest.mark.parametrize(
    ("managed", "prefix", "owner"),
    [
        (True, "2001:db8:2::/64", "eth0/pvd.a.example"),
        (False, "2001:db8:2::/64", "eth0/ipv6"),
        (True, "2001:db8:3::/64", "eth0/ipv6"),
    ],
)
def test_a_leased_address_goes_to_the_managed_domain_that_covers_it(managed: bool, prefix: str, owner: str) -> None:
    own = dhcpv6_address("2001:db8:2::99")
    host = SmallHost(ETH0, own, dhcpv6("2001:db8:2::99"), advertisement(pvd=A, managed=managed, prefix=prefix))
    (line,) = (line for line in host.domains() if "2001:db8:2::99" in line)
    assert line.split()[0] == owner
    assert "DHCPV6" in line


def test_flags_that_are_taken_back_take_the_elements_with_them() -> None:
    host = SmallHost(ETH0, SLAAC, LEASED, dhcpv4(), advertisement(pvd=LEGACY_A))
    (before,) = host.core.domains
    host.tell(advertisement(pvd=A))
    assert host.domains() == ["eth0/pvd.a.example RA 2001:db8:2::10", "eth0/ipv4 DHCPV4 198.51.2.10"]
    assert before in host.core.domains  # it is the same domain still


# ---------------------------------------------------------------- one's own


def test_a_function_of_ones_own() -> None:
    def by_kind_of_element(evidence: Evidence) -> Sequence[Group]:
        kinds = dict.fromkeys(each.type for each in evidence.contributions)
        return [
            Group(kind, kind.value, tuple(each for each in evidence.contributions if each.type is kind))
            for kind in kinds
        ]

    host = SmallHost(*DUAL_STACK, grouping=by_kind_of_element)
    assert host.domains() == ["eth0/ra RA 2001:db8:2::10", "eth0/dhcpv4 DHCPV4 198.51.2.10"]
    host.at(NOW + 1800)  # what a router no longer claims is nobody's
    assert host.domains() == ["eth0/dhcpv4 DHCPV4 198.51.2.10", "eth0/static STATIC 2001:db8:2::10"]


@pytest.mark.parametrize("same", ["key", "label"])
def test_domains_have_to_differ(same: str) -> None:
    def all_alike(evidence: Evidence) -> Sequence[Group]:
        return [
            Group("key" if same == "key" else number, "label" if same == "label" else str(number), (each,))
            for number, each in enumerate(evidence.contributions)
        ]

    with pytest.raises(ValueError, match=f"two domains of one interface the {same} '{same}': make them differ"):
        SmallHost(*DUAL_STACK, grouping=all_alike)
