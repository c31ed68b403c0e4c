"""A real NetworkManager on a private bus: what it configures, and how that changes, is reported with its origin."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import Any

import pytest
import trio

from trimif import ElementType, Information, InterfaceKind, Mif, Origin, Route
from trimif._core import Core
from trimif._facts import AllLeases, AllLinkConfigurations, DHCPv6Lease, Fact, Lease, Limitation
from trimif._information import LeaseTimes
from trimif._mif import run_element
from trimif._sources import _system_bus
from trimif._sources.netlink import NetlinkSource
from trimif._sources.networkmanager import NetworkManagerSource
from trimif.testing import SimulatedHost
from trimif.testing._lab import Lab
from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_networkmanager import NetworkManager
from trimif.testing._namespaces import Namespace

from ._program import open_program

pytestmark = pytest.mark.lab

ROUTER_A, ROUTER_B = IPv4Address("198.51.100.1"), IPv4Address("198.51.100.65")
SETTLING_SECONDS = 0.5
"""Longer than the source waits for quiet: what is not reported in it is not reported."""


class Watched:
    """What a source has reported."""

    def __init__(self, source: NetworkManagerSource) -> None:
        self.source = source
        self.history: list[Fact] = []
        self.leases: dict[str, Lease] = {}
        self.leases6: dict[str, DHCPv6Lease] = {}
        self.links: dict[str, dict[Information[Any], Any]] = {}
        self._reported = trio.Event()

    def report(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self.history.append(fact)
            match fact:
                case AllLeases(source="NetworkManager", leases=leases):
                    self.leases = {each.interface: each for each in leases if isinstance(each, Lease)}
                    self.leases6 = {each.interface: each for each in leases if isinstance(each, DHCPv6Lease)}
                case AllLinkConfigurations(source="NetworkManager", configurations=links):
                    assert {each.origin for each in links} <= {Origin("NetworkManager")}
                    self.links = {each.interface: dict(each.data) for each in links}
        self._reported.set()
        self._reported = trio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        with trio.fail_after(seconds):
            while not condition():
                await self._reported.wait()

    def all_leases(self) -> list[AllLeases]:
        return [fact for fact in self.history if isinstance(fact, AllLeases)]

    def limitations(self) -> list[str]:
        return [f"{fact.missing}; {fact.remedy}" for fact in self.history if isinstance(fact, Limitation)]


@asynccontextmanager
async def watching(source: NetworkManagerSource) -> AsyncIterator[Watched]:
    watched = Watched(source)
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, watched.report)
        assert watched.all_leases()  # what is there now is reported before it has started
        yield watched
        nursery.cancel_scope.cancel()


@pytest.fixture
def bus(lab: Lab) -> Iterator[PrivateBus]:
    with PrivateBus(lab.host, lab.directory) as bus:
        yield bus


@pytest.fixture
def manager(lab: Lab, bus: PrivateBus, on_host: Namespace) -> Iterator[NetworkManager]:
    with NetworkManager(lab.host, lab.directory, bus) as manager:
        yield manager


@pytest.fixture
def source(manager: NetworkManager, bus: PrivateBus) -> NetworkManagerSource:
    return NetworkManagerSource(manager.devices, bus.address)


# ---------------------------------------------------------------- what it says


async def test_what_a_lease_says(manager: NetworkManager, source: NetworkManagerSource) -> None:
    manager.connect("up-a")
    async with watching(source) as watched:
        lease = watched.leases["up-a"]
        assert (lease.address, lease.prefix_length) == (IPv4Address("198.51.100.10"), 26)
        assert lease.origin == Origin("NetworkManager", ROUTER_A)
        assert lease.routers == (ROUTER_A,)
        assert lease.routes == (
            Route(IPv4Network("203.0.113.64/26"), ROUTER_A),
            Route(IPv4Network("0.0.0.0/0"), ROUTER_A),
        )
        assert lease.dns_servers == (ROUTER_A, IPv4Address("198.51.100.3"))
        assert lease.search_domains == ("isp-a.example", "example.com")
        assert lease.ntp_servers == (ROUTER_A,)
        assert lease.mtu == 1460
        assert 110 < lease.valid_until - trio.current_time() <= 121
        times: LeaseTimes = dict(lease.data)[Information.LEASE]
        assert times.valid_until == lease.valid_until
        assert watched.links["up-a"][Information.LINK_TYPE] is InterfaceKind.VIRTUAL
        assert watched.links["up-a"][Information.METERED] is False


async def test_what_came_from_a_router_is_known_as_the_dns_of_the_link(
    manager: NetworkManager, source: NetworkManagerSource
) -> None:
    async with watching(source) as watched:
        assert (watched.leases, watched.links) == ({}, {})
        manager.connect("up-a")
        await watched.until(lambda: Information.DNS_SERVERS in watched.links.get("up-a", {}))
        servers = tuple(map(ip_address, ("2001:db8:a::1", "2001:db8:a::3")))
        assert watched.links["up-a"][Information.DNS_SERVERS] == servers
        assert Information.SEARCH_DOMAINS not in watched.links["up-a"]  # the lease tells the same ones


async def test_what_a_dhcpv6_lease_says(lab: Lab, manager: NetworkManager, source: NetworkManagerSource) -> None:
    dnsmasq, radvd = lab.directory / "isp_a.dnsmasq.conf", lab.directory / "isp_a.radvd.conf"
    range_ = "dhcp-range=2001:db8:a::1000,2001:db8:a::1000,64,120\n"
    options = "dhcp-option=option6:dns-server,[2001:db8:a::3]\ndhcp-option=option6:sntp-server,[2001:db8:a::1]\n"
    dnsmasq.write_text(dnsmasq.read_text() + range_ + options)
    radvd.write_text(radvd.read_text().replace("AdvSendAdvert on;", "AdvSendAdvert on; AdvManagedFlag on;"))
    restart(lab, "isp_a.dnsmasq", "isp_a.radvd")
    async with watching(source) as watched:
        manager.connect("up-a")
        await watched.until(lambda: "up-a" in watched.leases6)
        lease = watched.leases6["up-a"]
        assert lease.origin == Origin("NetworkManager")
        assert [each.address for each in lease.addresses] == [IPv6Address("2001:db8:a::1000")]
        data = dict(lease.data)
        assert data[Information.DNS_SERVERS] == (IPv6Address("2001:db8:a::3"),)
        assert data[Information.NTP_SERVERS] == (IPv6Address("2001:db8:a::1"),)


def restart(lab: Lab, *names: str) -> None:
    for name in names:
        lab.stop(name)
        lab.start(name)
    for name in names:
        lab.wait_ready(name)


# ---------------------------------------------------------------- how it changes


async def test_a_renewal_with_other_options_and_the_end_of_a_lease(
    lab: Lab, manager: NetworkManager, source: NetworkManagerSource
) -> None:
    dhcpd = lab.directory / "isp_b.dhcpd.conf"
    dhcpd.write_text(dhcpd.read_text().replace("default-lease-time 60; max-lease-time 120", "max-lease-time 10"))
    restart(lab, "isp_b.dhcpd")
    manager.connect("up-b")
    async with watching(source) as watched:
        first = watched.leases["up-b"]
        assert first.origin == Origin("NetworkManager", ROUTER_B)
        dhcpd.write_text(dhcpd.read_text().replace("-servers 198.51.100.65", "-servers 198.51.100.66"))
        restart(lab, "isp_b.dhcpd")
        await watched.until(lambda: watched.leases["up-b"].valid_until > first.valid_until + 1)
        renewed = watched.leases["up-b"]
        assert renewed.address == first.address
        assert renewed.dns_servers == renewed.ntp_servers == (IPv4Address("198.51.100.66"),)
        lab.stop("isp_b.dhcpd")
        await watched.until(lambda: "up-b" not in watched.leases)
        assert trio.current_time() >= renewed.valid_until - 1


async def test_a_released_lease_is_gone(manager: NetworkManager, source: NetworkManagerSource) -> None:
    manager.connect("up-a")
    manager.connect("up-b")
    async with watching(source) as watched:
        assert set(watched.leases) == {"up-a", "up-b"}
        manager.disconnect("up-a")
        await watched.until(lambda: set(watched.leases) == set(watched.links) == {"up-b"})
        manager.connect("up-a")
        await watched.until(lambda: set(watched.leases) == set(watched.links) == {"up-a", "up-b"})


@pytest.mark.parametrize("gently", [False, True])
async def test_ended_and_started_again_it_has_not_lost_anything(
    manager: NetworkManager, source: NetworkManagerSource, gently: bool
) -> None:
    manager.connect("up-a")
    manager.modify("up-a", "connection.metered", "yes")
    async with watching(source) as watched:
        await watched.until(lambda: watched.links["up-a"][Information.METERED] is True)
        manager.stop() if gently else manager.kill()
        await trio.sleep(SETTLING_SECONDS)
        manager.start()
        await trio.sleep(SETTLING_SECONDS)
        manager.modify("up-a", "connection.metered", "no")
        await watched.until(lambda: watched.links["up-a"][Information.METERED] is False)
        assert all(fact.leases for fact in watched.all_leases())
        links = [fact for fact in watched.history if isinstance(fact, AllLinkConfigurations)]
        assert all(fact.configurations for fact in links)
        assert all(Information.METERED in dict(link.data) for fact in links for link in fact.configurations)


async def test_metered_follows_the_connection(manager: NetworkManager, source: NetworkManagerSource) -> None:
    manager.connect("up-a")
    async with watching(source) as watched:
        for metered in ("yes", "no"):
            manager.modify("up-a", "connection.metered", metered)
            expected = metered == "yes"
            await watched.until(lambda: watched.links["up-a"][Information.METERED] is expected)  # noqa: B023


async def test_dns_that_a_person_set(manager: NetworkManager, source: NetworkManagerSource) -> None:
    manager.connect("up-a")
    async with watching(source) as watched:
        dns = ("ipv4.dns", "198.51.100.53", "ipv4.dns-search", "corp.example,~split.example")
        manager.modify("up-a", *dns, "ipv6.method", "disabled")
        manager.connect("up-a")
        await watched.until(lambda: Information.SPLIT_DOMAINS in watched.links["up-a"])
        await trio.sleep(SETTLING_SECONDS)
        link = watched.links["up-a"]
        assert link[Information.DNS_SERVERS] == (IPv4Address("198.51.100.53"),)
        assert link[Information.SEARCH_DOMAINS] == ("corp.example",)
        assert link[Information.SPLIT_DOMAINS] == ("split.example",)
        assert watched.leases["up-a"].dns_servers == (ROUTER_A, IPv4Address("198.51.100.3"))


async def test_a_tunnel_with_dns_of_its_own(manager: NetworkManager, source: NetworkManagerSource) -> None:
    async with watching(source) as watched:
        tunnel = ["type", "tun", "ifname", "tun0", "con-name", "tun0", "mode", "tun", "ipv6.method", "disabled"]
        address = ["ipv4.method", "manual", "ipv4.addresses", "198.51.100.200/32"]
        dns = ["ipv4.dns", "203.0.113.53", "ipv4.dns-search", "~."]
        manager.nmcli("connection", "add", *tunnel, *address, *dns)
        await watched.until(lambda: Information.DNS_SERVERS in watched.links.get("tun0", {}))
        link = watched.links["tun0"]
        assert link[Information.LINK_TYPE] is InterfaceKind.TUNNEL
        assert link[Information.DNS_SERVERS] == (IPv4Address("203.0.113.53"),)
        assert link[Information.SPLIT_DOMAINS] == (".",)
        manager.nmcli("connection", "delete", "tun0")
        await watched.until(lambda: "tun0" not in watched.links)


# ---------------------------------------------------------------- without a bus, and when something hangs


async def test_without_a_bus_its_files_tell_the_leases(manager: NetworkManager) -> None:
    manager.connect("up-a")
    async with watching(NetworkManagerSource(manager.devices, "unix:path=/nowhere")) as watched:
        assert watched.links == {}
        assert watched.leases["up-a"].dns_servers == (ROUTER_A, IPv4Address("198.51.100.3"))
        manager.connect("up-b")
        await watched.until(lambda: "up-b" in watched.leases)
        assert watched.leases["up-b"].origin == Origin("NetworkManager", ROUTER_B)
        file = next(path for path in manager.devices.iterdir() if "198.51.100.65" in path.read_text())
        text = file.read_text()
        for cut in (0, text.index("dhcp4.ip_address") + 9, text.index("dhcp4.subnet_mask")):
            file.write_text(text[:cut])
            await trio.sleep(SETTLING_SECONDS)
        assert set(watched.leases) == {"up-a", "up-b"}
        assert watched.source.statistics().malformed > 0
        manager.disconnect("up-b")
        await watched.until(lambda: set(watched.leases) == {"up-a"})
        assert watched.limitations() == []


async def test_without_jeepney_that_is_said(
    manager: NetworkManager, source: NetworkManagerSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jeepney.low_level", None)
    async with watching(source) as watched:
        manager.connect("up-a")
        await watched.until(lambda: "up-a" in watched.leases and bool(watched.limitations()))
        (said,) = watched.limitations()
        assert "metered" in said
        assert "jeepney is not installed; install trimif[dbus]" in said


async def test_the_bus_goes_and_comes(lab: Lab, bus: PrivateBus, manager: NetworkManager) -> None:
    manager.connect("up-a")
    async with watching(NetworkManagerSource(manager.devices, bus.address)) as watched:
        await watched.until(lambda: "up-a" in watched.links)
        bus.stop()
        manager.kill()
        await trio.sleep(SETTLING_SECONDS)
        bus.start()
        manager.start()
        manager.modify("up-a", "connection.metered", "yes")
        await watched.until(lambda: watched.links["up-a"][Information.METERED] is True)
        assert all(fact.leases for fact in watched.all_leases())


async def test_hanging_it_delays_nobody(
    manager: NetworkManager, bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_system_bus, "REPLY_SECONDS", 2.0)
    manager.connect("up-a")
    manager.process.send_signal(signal.SIGSTOP)
    before = trio.current_time()
    async with watching(NetworkManagerSource(manager.devices, bus.address)) as watched:
        assert trio.current_time() - before < 2.5
        assert set(watched.leases) == {"up-a"}
        await watched.until(lambda: bool(watched.limitations()))
        assert "it does not answer" in watched.limitations()[0]
        manager.process.send_signal(signal.SIGCONT)
        await watched.until(lambda: "up-a" in watched.links)


# ---------------------------------------------------------------- as a program sees it


async def test_what_a_program_is_told(lab: Lab, manager: NetworkManager, source: NetworkManagerSource) -> None:
    nobody = SimulatedHost()
    mif = Mif(Core("networkmanager"), [source, NetlinkSource()], names=nobody, connect=nobody.connect)
    async with run_element(mif), open_program(mif) as program:
        interface = program.interfaces()["up-b"]
        manager.connect("up-b")
        domain = await program.domain("up-b/ipv4")
        assert program.elements("up-b/ipv4") == {ElementType.DHCPV4: Origin("NetworkManager", ROUTER_B)}
        get = program.get
        assert await get(domain, ElementType.DHCPV4, Information.DNS_SERVERS) == (ROUTER_B,)
        assert await get(domain, ElementType.DHCPV4, Information.MTU) == 1400
        assert program.interfaces()["up-b"] == interface

        def metered() -> bool | None:
            names = {each.announcement.name: each.announcement.details for each in mif.snapshot().interfaces}
            return names["up-b"].metered

        await program.when(lambda: metered() is False)
        manager.modify("up-b", "connection.metered", "yes")
        await program.when(lambda: metered() is True)
        assert await get(domain, ElementType.DHCPV4, Information.METERED) is True
        manager.disconnect("up-b")
        await program.when(lambda: "up-b/ipv4" not in program.domains())
