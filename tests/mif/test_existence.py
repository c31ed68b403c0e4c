"""When things exist, to the second: DESIGN's rules on the mock clock, through a subscriber that asks for everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from attrs import evolve

from trimif import (
    AddressAnnouncement,
    AnnounceAddress,
    AnnounceConfigurationElement,
    AnnounceInterfaces,
    Announcement,
    AnnounceProvisioningDomain,
    ConfigurationElementAnnouncement,
    DomainId,
    ElementType,
    InterfaceAnnouncement,
    InterfaceId,
    Mif,
    NoAddressAnnouncement,
    NoConfigurationElementAnnouncement,
    NoInterfaceAnnouncement,
    NoProvisioningDomainAnnouncement,
    ProvisioningDomainAnnouncement,
    Subscriber,
)
from trimif._core import Core
from trimif._facts import (
    AddressFact,
    AddressGone,
    AddressProtocol,
    AllAddresses,
    AllLeases,
    AllLinks,
    Fact,
    LinkGone,
    RouteFact,
    RouteProtocol,
    RouterAdvertisement,
    RouterHeader,
    StaticConfiguration,
)
from trimif.testing import FIGURE_2, SimulatedHost, open_simulated_mif
from trimif.testing._laws import LawChecker
from trimif.testing._simulated_facts import address, ipv4, ipv6, link


class Watcher:
    """Asks for everything; `lines` is what it heard since it was last looked at, in short form with the time."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.names: dict[object, str] = {}
        self.interfaces: dict[str, InterfaceId] = {}
        self.domains: dict[str, DomainId] = {}
        self.laws = LawChecker()
        self.started = trio.current_time()
        self._lines: list[str] = []
        self.post(AnnounceInterfaces())

    def post(self, request: Any) -> None:
        self.subscriber.post(request)
        self.laws.posted(request)

    async def run(self) -> None:
        async for message in self.subscriber:
            self.laws.received(message)
            self._lines.append(f"{trio.current_time() - self.started:g} {self.describe(message)}")

    def describe(self, message: Announcement) -> str:
        match message:
            case InterfaceAnnouncement(interface=interface, name=name):
                if interface not in self.names:
                    self.post(AnnounceProvisioningDomain(interface))
                self.names[interface], self.interfaces[name] = name, interface
                return name
            case ProvisioningDomainAnnouncement(domain=domain, name=name):
                if domain not in self.names:
                    self.post(AnnounceConfigurationElement(domain))
                    self.post(AnnounceAddress(domain))
                self.names[domain], self.domains[name] = name, domain
                return name
            case ConfigurationElementAnnouncement(domain=domain, element=element):
                return f"{self.names[domain]} {element.name}"
            case AddressAnnouncement(domain=domain, address=where):
                return f"{self.names[domain]} {where}"
            case NoInterfaceAnnouncement(interface=interface):
                return f"no {self.names[interface]}"
            case NoProvisioningDomainAnnouncement(domain=domain):
                return f"no {self.names[domain]}"
            case NoConfigurationElementAnnouncement(domain=domain, element=element):
                return f"no {self.names[domain]} {element.name}"
            case NoAddressAnnouncement(domain=domain, address=where):
                return f"no {self.names[domain]} {where}"
            case _:
                return repr(message)

    async def lines(self) -> list[str]:
        await trio.testing.wait_all_tasks_blocked()
        lines, self._lines = self._lines, []
        return lines


@asynccontextmanager
async def watching(*initial: Fact) -> AsyncIterator[tuple[SimulatedHost, Watcher, Mif]]:
    host = SimulatedHost(initial=initial)
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        watcher = Watcher(subscriber)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watcher.run)
            yield host, watcher, mif
            nursery.cancel_scope.cancel()


Clock = trio.testing.MockClock


async def test_figure_2_is_told_root_first_and_taken_back_leaf_first(mock_clock: Clock) -> None:
    async with watching(*FIGURE_2) as (host, watcher, _):
        told = await watcher.lines()
        assert [line for line in told if "eth0" in line] == [
            "0 eth0",
            "0 eth0/ipv4",
            "0 eth0/ipv4 DHCPV4",
            "0 eth0/ipv4 198.51.2.10",
            "0 eth0/ipv6",
            "0 eth0/ipv6 RA",
            "0 eth0/ipv6 2001:db8:2::10",
        ]
        assert [line for line in told if "wa0" in line] == [
            "0 wa0",
            "0 wa0/ipv6",
            "0 wa0/ipv6 RA",
            "0 wa0/ipv6 2001:db8:3::10",
        ]
        host.report(LinkGone(2))
        assert await watcher.lines() == [
            "0 no eth0/ipv4 198.51.2.10",
            "0 no eth0/ipv4 DHCPV4",
            "0 no eth0/ipv4",
            "0 no eth0/ipv6 2001:db8:2::10",
            "0 no eth0/ipv6 RA",
            "0 no eth0/ipv6",
            "0 no eth0",
        ]


async def test_permanent_addresses_are_static_at_once_at_the_start_and_after_two_seconds_later(
    autojump_clock: Clock,
) -> None:
    async with watching(
        AllLinks((link(2, "tun0"),)), AllAddresses((address(2, "198.51.2.1"), address(2, "198.51.2.2", valid_until=99)))
    ) as (host, watcher, _):
        assert await watcher.lines() == ["0 tun0", "0 tun0/ipv4", "0 tun0/ipv4 STATIC", "0 tun0/ipv4 198.51.2.1"]
        await trio.sleep(1)
        host.report(address(2, "2001:db8:2::1"))
        await trio.sleep(10)
        assert await watcher.lines() == [
            "2 tun0/ipv4 198.51.2.2",
            "3 tun0/ipv6",
            "3 tun0/ipv6 STATIC",
            "3 tun0/ipv6 2001:db8:2::1",
        ]


async def test_an_address_that_a_lease_claims_in_time_is_never_static(autojump_clock: Clock) -> None:
    async with watching(link(2, "eth0")) as (host, watcher, _):
        host.report(address(2, "198.51.2.10"))
        await trio.sleep(1)
        host.report(*ipv4(2, "eth0"))
        await trio.sleep(10)
        assert await watcher.lines() == ["0 eth0", "1 eth0/ipv4", "1 eth0/ipv4 DHCPV4", "1 eth0/ipv4 198.51.2.10"]


async def test_a_domain_ends_with_its_lease(autojump_clock: Clock) -> None:
    until = trio.current_time() + 60
    async with watching(link(2, "eth0"), *ipv4(2, "eth0", until)) as (host, watcher, _):
        await watcher.lines()
        await trio.sleep(100)
        # the kernel's address stays: what nobody claims any more is static
        assert await watcher.lines() == ["60 no eth0/ipv4 DHCPV4", "60 eth0/ipv4 STATIC"]
        host.report(AddressGone(2, (address(2, "198.51.2.10")).address, 24))
        assert await watcher.lines() == ["100 no eth0/ipv4 198.51.2.10", "100 no eth0/ipv4 STATIC", "100 no eth0/ipv4"]


async def test_a_lease_without_its_address_is_nothing(mock_clock: Clock) -> None:
    leases = ipv4(2, "eth0")[0]
    async with watching(link(2, "eth0"), leases) as (host, watcher, _):
        assert await watcher.lines() == ["0 eth0"]
        host.report(evolve(address(2, "198.51.2.10"), tentative=True))
        assert await watcher.lines() == []
        host.report(address(2, "198.51.2.10"))
        assert await watcher.lines() == ["0 eth0/ipv4", "0 eth0/ipv4 DHCPV4", "0 eth0/ipv4 198.51.2.10"]
        host.report(AllLeases("dhclient 2", ()))
        host.report(link(2, "eth0", up=False))
        assert (await watcher.lines())[-2:] == ["0 no eth0/ipv4", "0 eth0"]


async def test_router_advertisements_last_as_long_as_their_longest_lifetime(autojump_clock: Clock) -> None:
    until = trio.current_time() + 30
    server = (address(2, "2001:db8:2::53").address, trio.current_time() + 90)
    later = RouterAdvertisement(2, _router(2), RouterHeader(until), dns_servers=(server,))  # type: ignore[arg-type]
    async with watching(link(2, "eth0"), *ipv6(2, until), later) as (_, watcher, _mif):
        assert await watcher.lines() == ["0 eth0", "0 eth0/ipv6", "0 eth0/ipv6 RA", "0 eth0/ipv6 2001:db8:2::10"]
        await trio.sleep(60)
        assert await watcher.lines() == ["30 no eth0/ipv6 2001:db8:2::10", "30 eth0/ipv6 RA"]
        await trio.sleep(60)
        assert await watcher.lines() == ["90 no eth0/ipv6 RA", "90 no eth0/ipv6"]


async def test_a_router_that_says_goodbye_is_no_router(mock_clock: Clock) -> None:
    async with watching(link(2, "eth0"), *ipv6(2)) as (host, watcher, mif):
        await watcher.lines()
        host.report(RouterAdvertisement(2, _router(2), RouterHeader(trio.current_time())))
        assert await watcher.lines() == ["0 eth0/ipv6 RA"]
        (eth0,) = mif.snapshot().interfaces
        assert "ROUTERS" not in {information.name for information in eth0.domains[0].elements[0].data}


async def test_the_kernel_alone_is_evidence_enough_of_a_router(autojump_clock: Clock) -> None:
    now = trio.current_time()
    slaac = AddressFact(2, _host(2), 64, now + 50, now + 20, protocol=AddressProtocol.ROUTER_ADVERTISEMENT)
    default = RouteFact(2, _default(), _router(2), protocol=RouteProtocol.ROUTER_ADVERTISEMENT, expires=now + 30)
    async with watching(link(2, "eth0"), slaac, default) as (_, watcher, _mif):
        assert await watcher.lines() == ["0 eth0", "0 eth0/ipv6", "0 eth0/ipv6 RA", "0 eth0/ipv6 2001:db8:2::10"]
        await trio.sleep(100)
        assert await watcher.lines() == [
            "30 eth0/ipv6 RA",
            "50 no eth0/ipv6 2001:db8:2::10",
            "50 no eth0/ipv6 RA",
            "50 no eth0/ipv6",
        ]


async def test_carrier_may_be_lost_for_less_than_five_seconds(autojump_clock: Clock) -> None:
    async with watching(link(2, "eth0"), *ipv6(2)) as (host, watcher, _):
        await watcher.lines()
        host.report(link(2, "eth0", carrier=False))
        await trio.sleep(4.9)
        host.report(link(2, "eth0"))
        await trio.sleep(5)
        assert await watcher.lines() == ["0 eth0", "4.9 eth0"], "the interface is told, its domains stay"
        host.report(link(2, "eth0", carrier=False))
        host.report(evolve(link(2, "eth0", carrier=False), mtu=1400))
        await trio.sleep(6)
        lines = await watcher.lines()
        assert lines[-1] == "14.9 no eth0/ipv6"


async def test_a_link_that_is_down_has_no_domains_and_forgets_what_routers_said(mock_clock: Clock) -> None:
    async with watching(link(2, "eth0"), *ipv4(2, "eth0"), *ipv6(2)) as (host, watcher, _):
        await watcher.lines()
        host.report(link(2, "eth0", up=False), link(2, "eth0"))
        lines = await watcher.lines()
        assert lines[5:7] == ["0 no eth0/ipv6", "0 eth0"], "down and up in one batch is not hidden"
        assert "0 eth0/ipv4 DHCPV4" in lines
        assert "0 eth0/ipv6 RA" not in lines, "another link may be plugged in: its routers have to say so themselves"


async def test_a_rename_keeps_ids_and_changes_names(mock_clock: Clock) -> None:
    async with watching(link(2, "eth0"), *ipv6(2)) as (host, watcher, _):
        await watcher.lines()
        before = dict(watcher.interfaces), dict(watcher.domains)
        host.report(link(2, "wan0"))
        assert await watcher.lines() == ["0 wan0", "0 wan0/ipv6"]
        assert watcher.interfaces["wan0"] == before[0]["eth0"]
        assert watcher.domains["wan0/ipv6"] == before[1]["eth0/ipv6"]


async def test_a_link_made_again_is_another_one_even_in_one_batch(mock_clock: Clock) -> None:
    async with watching(link(2, "eth0"), *ipv6(2)) as (host, watcher, _):
        await watcher.lines()
        before = watcher.interfaces["eth0"], watcher.domains["eth0/ipv6"]
        host.report(LinkGone(2), link(2, "eth0"), *ipv6(2))
        lines = await watcher.lines()
        assert lines[:4] == ["0 no eth0/ipv6 2001:db8:2::10", "0 no eth0/ipv6 RA", "0 no eth0/ipv6", "0 no eth0"]
        assert lines[4:6] == ["0 eth0", "0 eth0/ipv6"]
        assert watcher.interfaces["eth0"] != before[0]
        assert watcher.domains["eth0/ipv6"] != before[1]


async def test_link_local_addresses_alone_make_no_domain(autojump_clock: Clock) -> None:
    async with watching(link(2, "eth0"), address(2, "fe80::1"), address(2, "169.254.7.7")) as (_, watcher, _mif):
        await trio.sleep(10)
        assert await watcher.lines() == ["0 eth0"]


async def test_what_a_person_knows_joins_the_domain_of_its_family(mock_clock: Clock) -> None:
    known = StaticConfiguration("tun0", ("198.51.2.53", "2001:db8:2::53"), ("corp.example.",))
    start: Sequence[Fact] = (AllLinks((link(2, "tun0"),)), AllAddresses((address(2, "198.51.2.1"),)))
    async with watching(known, *start) as (_, watcher, mif):
        assert await watcher.lines() == ["0 tun0", "0 tun0/ipv4", "0 tun0/ipv4 STATIC", "0 tun0/ipv4 198.51.2.1"]
        ((domain,),) = (each.domains for each in mif.snapshot().interfaces)
        data = {information.name: value for information, value in domain.elements[0].data.items()}
        assert [str(server) for server in data["DNS_SERVERS"]] == ["198.51.2.53"]
        assert data["SEARCH_DOMAINS"] == ("corp.example",)
        assert domain.elements[0].announcement.element is ElementType.STATIC


def test_strangers_on_a_link_cannot_make_us_keep_everything() -> None:
    core = Core("test")
    core.apply([link(2, "eth0")], 0)
    for number in range(200):
        servers = tuple((_host(number * 1000 + each), 100.0) for each in range(200))
        core.apply([RouterAdvertisement(2, _router(number), RouterHeader(100.0), dns_servers=servers)], 0)
    ((domain,),) = (each.domains for each in core.snapshot().interfaces)
    sizes = [len(value) for value in domain.elements[0].data.values() if isinstance(value, tuple)]
    assert max(sizes) <= 16 * 64


def _router(number: int) -> Any:
    return address(2, f"fe80::{number:x}").address


def _host(number: int) -> Any:
    return address(
        2, f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::10" if number > 9 else f"2001:db8:{number}::10"
    ).address


def _default() -> Any:
    from ipaddress import ip_network

    return ip_network("::/0")
