"""Explicit domains, other groupings and what costs money, through the faces that programs use."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest
import trio
import trio.testing

from trimif import ConnectToAddress as Connect
from trimif import (
    DomainGone,
    ElementType,
    Evidence,
    Family,
    Group,
    Information,
    InterfaceKind,
    Mif,
    NameTranslationFinished,
    NotConnected,
    Policy,
    PortalInformation,
    ProvisioningDomain,
    PvdOption,
    TranslateName,
    TranslationOutcome,
)
from trimif.testing import SimulatedHost, open_recorder, open_simulated_mif

Clock = trio.testing.MockClock
PORTAL = "https://portal.example/api"
PVD = PvdOption("pvd.example", http=True, legacy=True)


def campus() -> SimulatedHost:
    """A link with an explicit domain beside the implicit one, and all that can be known of it."""
    host = SimulatedHost()
    host.add_link("eth0")
    host.advertise("eth0", "2001:db8:2::/64", router="fe80::2")
    host.advertise(
        "eth0",
        "2001:db8:3::/64",
        domain=PVD,
        dns_servers=["2001:db8:3::53"],
        pref64=["64:ff9b::/96"],
        captive_portal=PORTAL,
        managed=True,
    )
    host.add_lease("eth0", "198.51.100.7/24")
    host.add_dhcpv6_lease("eth0", "2001:db8:3::99", dns_servers=["2001:db8:3::54"])
    host.add_pvd_information("eth0", "pvd.example", dns_zones=["corp.example"], prefixes=["2001:db8:3::/64"])
    host.set_portal("eth0", PORTAL, captive=True)
    return host


async def test_the_last_words_of_every_sort_of_element(autojump_clock: Clock) -> None:
    host = campus()
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        await recorder.lines()
        domain = recorder.domains()["eth0/pvd.example"]
        recorder.post(Connect(domain, "2001:db8::1", 80, "connection"))
        recorder.post(TranslateName(domain, "www.example.org", "name"))
        await recorder.lines()
        host.remove_router("eth0", domain="pvd.example")
        lines = await recorder.lines()
        assert lines[:10] == [
            "0 Name Translation Finished (name): domain gone",
            "0 Not Connected (connection): domain gone",
            "0 No Address 2001:db8:3::10 of eth0/pvd.example",
            "0 No Address 198.51.100.7 of eth0/pvd.example",
            "0 No Address 2001:db8:3::99 of eth0/pvd.example",
            "0 No Element RA of eth0/pvd.example",
            "0 No Element DHCPv6 of eth0/pvd.example",
            "0 No Element DHCPv4 of eth0/pvd.example",
            "0 No Element PvD information of eth0/pvd.example",
            "0 No Element captive portal of eth0/pvd.example",
        ]
        assert lines[10] == "0 No PD eth0/pvd.example"
        assert lines[11:] == [
            "0 Element DHCPv6 of eth0/ipv6 from fe80::1",
            "0 Address 2001:db8:3::99/128 of eth0/ipv6, valid for ever",
            "0 PD eth0/ipv4",
            "0 Element DHCPv4 of eth0/ipv4 from 198.51.100.1",
            "0 Address 198.51.100.7/24 of eth0/ipv4, valid for ever",
        ], "leases outlive the domain that they were put to"


async def test_the_life_of_an_explicit_domain(autojump_clock: Clock) -> None:
    host = SimulatedHost()
    host.add_link("eth0")
    async with open_simulated_mif(host) as mif, open_recorder(mif) as recorder:
        await recorder.lines()
        host.advertise("eth0", "2001:db8:2::/64", domain=PVD, captive_portal=PORTAL, seconds=100)
        await trio.sleep(10)
        host.add_pvd_information("eth0", "pvd.example", seconds=50)
        host.set_portal("eth0", PORTAL, captive=True)
        await trio.sleep(10)
        host.set_portal("eth0", PORTAL, captive=False)
        host.stop_advertising("eth0", domain="pvd.example")
        await trio.sleep(100)
        assert await recorder.lines() == [
            "0 PD eth0/pvd.example, explicit pvd.example",
            "0 Element RA of eth0/pvd.example from fe80::1",
            "0 Address 2001:db8:2::10/64 of eth0/pvd.example, valid 1 min 40 s",
            "10 Element PvD information of eth0/pvd.example from pvd",
            "10 Element captive portal of eth0/pvd.example from portal",
            "20 Element captive portal of eth0/pvd.example from portal",
            "20 Element RA of eth0/pvd.example from fe80::1",
            "60 No Element PvD information of eth0/pvd.example",
            "100 No Address 2001:db8:2::10 of eth0/pvd.example",
            "100 No Element RA of eth0/pvd.example",
            "100 No Element captive portal of eth0/pvd.example",
            "100 No PD eth0/pvd.example",
        ]


async def test_an_explicit_domain_as_an_object(autojump_clock: Clock) -> None:
    async with open_simulated_mif(campus()) as mif:
        domain = mif.domain("eth0/pvd.example")
        assert domain.explicit_id == "pvd.example"
        assert domain.families == {Family.IPV4, Family.IPV6}
        assert domain.get(ElementType.RA, Information.PVD) == PVD
        information = domain.get(ElementType.PVD, Information.PVD_INFORMATION)
        assert information is not None
        assert information.dns_zones == domain.get(ElementType.PVD, Information.SPLIT_DOMAINS) == ("corp.example",)
        assert domain.get(ElementType.PORTAL, Information.PORTAL) == PortalInformation(captive=True)
        assert domain.get(ElementType.DHCPV4, Information.ROUTERS) == (ip_address("198.51.100.1"),)
        assert domain.get(ElementType.DHCPV6, Information.DNS_SERVERS) == (ip_address("2001:db8:3::54"),)
        assert domain.get(ElementType.STATIC, Information.DNS_SERVERS) is None
        assert mif.domain("eth0/ipv6").explicit_id is None
        async with mif.interface("eth0").domains() as domains:
            found = [await domains.receive() for _ in range(2)]
        assert domain in found
        assert {each.name for each in found} == {"eth0/ipv6", "eth0/pvd.example"}
        async with domain.elements() as elements:
            kinds = [(await elements.receive()).element for _ in range(5)]
        assert kinds == [
            ElementType.RA,
            ElementType.DHCPV6,
            ElementType.DHCPV4,
            ElementType.PVD,
            ElementType.PORTAL,
        ]


async def test_names_and_connects_go_through_the_explicit_domain(autojump_clock: Clock) -> None:
    host = campus()
    host.add_name("eth0/pvd.example", "www.corp.example", "2001:db8:3::80")
    host.add_name("eth0/ipv6", "www.corp.example")
    peer = host.add_peer("eth0/pvd.example", "2001:db8:3::80")
    async with open_simulated_mif(host) as mif:
        async with await mif.open_tcp_stream("www.corp.example", 80), await peer.accept():
            assert {name for _, name, _ in host.dialled} == {"eth0/pvd.example"}


# ---------------------------------------------------------------- handlers


class Handled:
    """A handler that notes which domains it has, and which it has no more."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def handle(self, domain: ProvisioningDomain) -> None:
        self.events.append(domain.name)
        try:
            await trio.sleep_forever()
        finally:
            self.events.append(f"no {domain.name}")


async def test_handlers_of_one_explicit_domain_wherever_it_is(autojump_clock: Clock) -> None:
    host, handled = campus(), Handled()
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        def is_it(domain: ProvisioningDomain) -> bool:
            return domain.explicit_id == "pvd.example"

        nursery.start_soon(lambda: mif.serve_domains(handled.handle, where=is_it))
        await trio.testing.wait_all_tasks_blocked()
        host.add_link("wlan0")
        host.advertise("wlan0", "2001:db8:3::/64", address="2001:db8:3::11", domain="PVD.example", seconds=10)
        await trio.sleep(11)
        host.remove_router("eth0", domain="pvd.example")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert handled.events == [
        "eth0/pvd.example",
        "wlan0/pvd.example",
        "no wlan0/pvd.example",
        "no eth0/pvd.example",
    ]


async def test_handlers_of_domains_that_cost_nothing(autojump_clock: Clock) -> None:
    """The filter is asked once, when a domain is new: what a manager says later does not end a handler."""
    host, handled = SimulatedHost(), Handled()
    for number, interface in enumerate(["eth0", "wwan0"], 7):
        host.add_link(interface)
        host.add_lease(interface, f"198.51.100.{number}/24")
    host.configure("wwan0", metered=True)
    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:

        def costs_nothing(domain: ProvisioningDomain) -> bool:
            return not domain.metered

        nursery.start_soon(lambda: mif.serve_domains(handled.handle, where=costs_nothing))
        await trio.testing.wait_all_tasks_blocked()
        assert handled.events == ["eth0/ipv4"]
        host.configure("eth0", metered=True)
        await trio.testing.wait_all_tasks_blocked()
        assert handled.events == ["eth0/ipv4"]
        nursery.cancel_scope.cancel()


async def test_a_policy_that_avoids_what_costs_money(autojump_clock: Clock) -> None:
    host, saving = SimulatedHost(), Policy(avoid_metered=True)
    for number, (interface, kind) in enumerate([("eth0", InterfaceKind.ETHERNET), ("wlan0", InterfaceKind.WIFI)], 7):
        host.add_link(interface, kind=kind)
        host.add_lease(interface, f"198.51.100.{number}/24")
    async with open_simulated_mif(host) as mif:
        assert best(mif, saving) == "eth0/ipv4"
        host.configure("eth0", metered=True)
        assert (best(mif, saving), best(mif, Policy())) == ("wlan0/ipv4", "eth0/ipv4")
        host.configure("wlan0", metered=True)
        assert best(mif, saving) == "eth0/ipv4", "one of them has to be used"


async def test_an_explicit_domain_says_itself_that_it_costs_money(autojump_clock: Clock) -> None:
    host = campus()
    async with open_simulated_mif(host) as mif:
        assert mif.domain("eth0/pvd.example").metered is None
        host.add_pvd_information("eth0", "pvd.example", metered=True, seconds=10)
        assert mif.domain("eth0/pvd.example").metered is True
        assert mif.domain("eth0/ipv6").metered is None, "it is not said of the other domains of the link"
        await trio.sleep(11)
        assert mif.domain("eth0/pvd.example").metered is None


def best(mif: Mif, policy: Policy) -> str:
    domain = mif.best_domain(policy)
    assert domain is not None
    return domain.name


# ---------------------------------------------------------------- groupings


@pytest.mark.parametrize(
    ("grouping", "names"),
    [
        ("family", {"eth0/ipv6", "eth0/pvd.example"}),
        ("interface", {"eth0/implicit", "eth0/pvd.example"}),
        ("router", {"eth0/fe80::2", "eth0/pvd.example"}),
    ],
)
async def test_groupings_by_name(grouping: str, names: set[str], autojump_clock: Clock) -> None:
    host = campus()
    async with open_simulated_mif(host, grouping=grouping) as mif, open_recorder(mif) as recorder:
        await recorder.lines()
        assert set(recorder.domains()) == names
        host.remove_router("eth0", domain="pvd.example")
        await recorder.lines()
        assert len(recorder.domains()) == (2 if grouping == "family" else 1)


async def test_a_grouping_of_ones_own(autojump_clock: Clock) -> None:
    def all_in_one(evidence: Evidence) -> Sequence[Group]:
        return [Group("all", "all", evidence.contributions)]

    host = campus()
    async with open_simulated_mif(host, grouping=all_in_one) as mif, open_recorder(mif) as recorder:
        domain = mif.domain("eth0/all")
        assert domain.get(ElementType.RA, Information.ROUTERS) == (ip_address("fe80::2"), ip_address("fe80::1"))
        host.remove_router("eth0", domain="pvd.example")
        assert not domain.gone
        host.remove_link("eth0")
        with pytest.raises(DomainGone):
            domain.get(ElementType.RA, Information.ROUTERS)
        await recorder.lines()
        assert recorder.domains() == {}


@pytest.mark.parametrize("grouping", ["family", "interface", "router"])
async def test_a_request_in_an_explicit_domain_that_went_is_answered(grouping: str, autojump_clock: Clock) -> None:
    host = campus()
    async with open_simulated_mif(host, grouping=grouping) as mif, mif.open_subscriber() as subscriber:
        gone = mif.domain("eth0/pvd.example").id
        host.remove_link("eth0")
        subscriber.post(TranslateName(gone, "www.example.org", 1))
        subscriber.post(Connect(gone, "2001:db8::1", 80, 1))
        assert subscriber.receive_nowait() == NameTranslationFinished(1, TranslationOutcome.DOMAIN_GONE)
        assert isinstance(subscriber.receive_nowait(), NotConnected)
