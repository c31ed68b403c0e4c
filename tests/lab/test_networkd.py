"""A real systemd-networkd: what it did and heard is reported with its origin, and how that changes."""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
import trio

from trimif import ConfigurationData, ElementType, GetConfigurationData, Mif, NoProvisioningDomainAnnouncement
from trimif._core import Core
from trimif._facts import AdvertisedPrefix, AdvertisedRoute, AllLeases, LeasedAddress
from trimif._information import EncryptedDnsServer, Information
from trimif._mif import run_element
from trimif._model import Origin, Route
from trimif._sources._source import Source
from trimif._sources._system_bus import open_system_bus
from trimif._sources.netlink import NetlinkSource
from trimif._sources.networkd import NAME, PATH, NetworkdSource
from trimif.testing import SimulatedHost
from trimif.testing._lab import Lab
from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_networkd import UPLINKS, VPN, Networkd, why_no_networkd
from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_processes import Daemon
from trimif.testing._namespaces import Namespace
from trimif.testing._running_source import running

from ._program import data_of, open_program

pytestmark = pytest.mark.lab

A, B = IPv4Address("198.51.100.1"), IPv4Address("198.51.100.65")
ROUTER_A = IPv6Address("fe80::a:1")
NO_BUS = "unix:path=/nonexistent/bus"
LEASE_SECONDS = 3
"""Of provider B, where a test waits for it; networkd renews after half of it."""


@pytest.fixture
def private_host(lab: Lab, on_host: Namespace) -> Iterator[PrivateHost]:
    if (reason := why_no_networkd()) is not None:
        (pytest.fail if os.environ.get("TRIMIF_REQUIRE_LAB") == "1" else pytest.skip)(reason)
    lab.ip("host", "address flush dev vpn0")  # networkd is to set them
    with PrivateHost(lab.host, lab.directory) as host:
        yield host


@pytest.fixture
def bus(lab: Lab, private_host: PrivateHost) -> Iterator[PrivateBus]:
    with PrivateBus(lab.host, lab.directory) as bus:
        private_host.use_bus(bus)
        yield bus


def serve(lab: Lab, server: str = "198.51.100.65") -> None:
    """Let provider B give short leases, and this name server."""
    path = lab.directory / "isp_b.dhcpd.conf"
    text = path.read_text().replace("default-lease-time 60", f"default-lease-time {LEASE_SECONDS}")
    text = text.replace("min-lease-time 10", f"min-lease-time {LEASE_SECONDS}").replace("max-lease-time 120; ", "")
    path.write_text(text.replace("name-servers 198.51.100.65", f"name-servers {server}"))
    lab.stop("isp_b.dhcpd")
    lab.start("isp_b.dhcpd")
    lab.wait_ready("isp_b.dhcpd")


# ---------------------------------------------------------------- what it says by bus


async def test_leases(private_host: PrivateHost, bus: PrivateBus) -> None:
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        await source.when(lambda: len(source.leases()) == 2)
        lease = source.leases()["up-a"]
        assert (lease.origin, lease.address, lease.prefix_length) == (
            Origin("networkd", A),
            IPv4Address("198.51.100.10"),
            26,
        )
        assert lease.dns_servers == (A, IPv4Address("198.51.100.3"))
        assert lease.search_domains == ("isp-a.example", "example.com")
        assert lease.routes == (Route(IPv4Network("203.0.113.64/26"), A), Route(IPv4Network("0.0.0.0/0"), A))
        assert (lease.mtu, lease.ntp_servers) == (1460, (A,))
        assert 110 < lease.valid_until - trio.current_time() <= 120
        times = dict(lease.data)[Information.LEASE]
        assert times.valid_until - times.renew_at == pytest.approx(60)
        assert source.leases()["up-b"].origin == Origin("networkd", B)
        assert source.source.statistics().malformed == 0


async def test_routers(lab: Lab, private_host: PrivateHost, bus: PrivateBus) -> None:
    """The kernel is deaf to them from then on. A router that says goodbye takes its name servers back.

    It says, too, that it is no default router any more: networkd 252 keeps its route all the same.
    """
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        await source.when(lambda: [each for each in source.routers() if each.search_domains])
        said, now = source.routers()[-1], trio.current_time()
        assert (said.index, said.router) == (socket.if_nametoindex("up-a"), ROUTER_A)
        assert said.header is not None
        assert said.header.until == pytest.approx(now + 1800, abs=10)
        (prefix,), (route,) = said.prefixes, said.routes
        assert (prefix.prefix, prefix.on_link, prefix.autonomous) == (IPv6Network("2001:db8:a::/64"), True, True)
        assert isinstance(prefix, AdvertisedPrefix)
        assert prefix.valid_until == pytest.approx(now + 3600, abs=10)
        assert isinstance(route, AdvertisedRoute)
        assert route.prefix == IPv6Network("2001:db8:ff::/48")
        servers = {IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:a::3")}
        assert {server for server, _ in said.dns_servers} == servers
        assert {name for name, _ in said.search_domains} == {"isp-a.example", "example.com"}

        lab.stop("isp_a.radvd", gently=True)
        last = await source.when(lambda: source.routers()[-1] if source.routers()[-1] != said else None)
        assert {server for server, until in last.dns_servers if until <= trio.current_time()} == servers
        assert len([until for _, until in last.search_domains if until <= trio.current_time()]) == 2


async def test_dhcpv6(lab: Lab, private_host: PrivateHost, bus: PrivateBus) -> None:
    server = "fe80::a:1"
    text = f"""\
port=0
interface=lan0
dhcp-authoritative
dhcp-leasefile={lab.directory}/dhcpv6.leases
dhcp-range=2001:db8:a::1000,2001:db8:a::1fff,64,120
dhcp-option=option6:dns-server,[2001:db8:a::53]
dhcp-option=option6:domain-search,v6.example
dhcp-option=option6:ntp-server,[2001:db8:a::123]
"""
    (lab.directory / "dhcpv6.conf").write_text(text)
    command = ["dnsmasq", "-d", "-C", f"{lab.directory}/dhcpv6.conf", "--pid-file="]
    daemon = Daemon(lab.isp_a, command, lab.directory / "isp_a.dhcpv6.log")
    try:
        networkd = Networkd(private_host, uplinks=UPLINKS)
        async with running(NetworkdSource(networkd.directory, bus.address)) as source:
            lease = await source.when(lambda: source.leases6().get("up-a"))
            assert lease.origin == Origin("networkd", IPv6Address(server))
            (leased,) = lease.addresses
            assert isinstance(leased, LeasedAddress)
            assert leased.address in IPv6Network("2001:db8:a::1000/116")
            assert 110 < leased.valid_until - trio.current_time() <= 120
            data = dict(lease.data)
            assert data[Information.DNS_SERVERS] == (IPv6Address("2001:db8:a::53"),)
            assert data[Information.SEARCH_DOMAINS] == ("v6.example",)
            assert data[Information.NTP_SERVERS] == (IPv6Address("2001:db8:a::123"),)
            assert "up-a" in source.leases()
    finally:
        daemon.end()


@pytest.mark.parametrize("by_bus", [True, False])
async def test_what_a_person_configured(private_host: PrivateHost, bus: PrivateBus, by_bus: bool) -> None:
    networkd = Networkd(private_host, vpn=VPN)
    server = IPv4Address("198.51.100.129")
    async with running(NetworkdSource(networkd.directory, bus.address if by_bus else NO_BUS)) as source:
        await source.when(source.configurations)
        assert source.configurations() == {
            "vpn0": {
                Information.DNS_SERVERS: (server, IPv6Address("fd6d:6966:1::1")),
                Information.SEARCH_DOMAINS: ("office.example",),
                Information.SPLIT_DOMAINS: ("corp.example",),
                Information.ENCRYPTED_DNS: (EncryptedDnsServer(1, "dns.corp.example", (server,), ("dot",)),),
                Information.NTP_SERVERS: (server,),
            }
        }


# ---------------------------------------------------------------- how that changes, with and without a bus

WITH_AND_WITHOUT_BUS = pytest.mark.parametrize("by_bus", [True, False])


@WITH_AND_WITHOUT_BUS
async def test_renewed_with_other_options_then_expired(
    lab: Lab, private_host: PrivateHost, bus: PrivateBus, by_bus: bool
) -> None:
    serve(lab)
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address if by_bus else NO_BUS)) as source:
        first = await source.when(lambda: source.leases().get("up-b"))
        assert math.isinf(first.valid_until) is not by_bus
        if by_bus:  # nothing changed, but the lease is longer: known only there
            await source.when(lambda: source.leases()["up-b"].valid_until > first.valid_until + 1)
        serve(lab, "198.51.100.66")
        server = IPv4Address("198.51.100.66")
        await source.when(lambda: source.leases()["up-b"].dns_servers == (server,))
        lab.stop("isp_b.dhcpd")
        before = trio.current_time()
        await source.when(lambda: "up-b" not in source.leases())
        assert trio.current_time() - before < LEASE_SECONDS + 2
        assert "up-a" in source.leases()


async def test_carrier_is_lost_and_back(lab: Lab, private_host: PrivateHost, bus: PrivateBus) -> None:
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        await source.when(lambda: "up-b" in source.leases())
        lab.set_carrier("up-b", False)
        await source.when(lambda: "up-b" not in source.leases())
        lab.set_carrier("up-b", True)
        await source.when(lambda: "up-b" in source.leases())


@WITH_AND_WITHOUT_BUS
async def test_killed_and_started_again(private_host: PrivateHost, bus: PrivateBus, by_bus: bool) -> None:
    """What it set stays on the host, so what it told stays, too."""
    networkd = Networkd(private_host, uplinks=UPLINKS, vpn=VPN)
    async with running(NetworkdSource(networkd.directory, bus.address if by_bus else NO_BUS)) as source:
        await source.when(lambda: len(source.leases()) == 2 and source.configurations())
        networkd.kill()
        (networkd.directory / "links/1").touch()  # a sign: trimif looks, and asks in vain
        await trio.sleep(0.3)
        assert set(source.leases()) == {"up-a", "up-b"}
        assert "vpn0" in source.configurations()
        facts = len(source.facts)
        networkd.start()
        await source.when(lambda: len(source.facts) > facts)
        await source.when(lambda: set(source.leases()) == {"up-a", "up-b"} and "vpn0" in source.configurations())


async def test_a_dead_networkd_is_not_asked_all_the_time(lab: Lab, private_host: PrivateHost, bus: PrivateBus) -> None:
    """Deadlines come near and pass, and nobody renews anything."""
    serve(lab)
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        lease = await source.when(lambda: source.leases().get("up-b"))
        networkd.kill()
        spent = time.process_time()
        await trio.sleep_until(lease.valid_until + 0.5)
        assert time.process_time() - spent < 0.5


async def test_a_lease_given_back(private_host: PrivateHost, bus: PrivateBus) -> None:
    """Stopped in order, it gives its leases back."""
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        await source.when(lambda: len(source.leases()) == 2)
        networkd.process.end_gently(signal.SIGTERM)
        await source.when(lambda: source.leases() == {})


async def test_a_lease_file_half_written(private_host: PrivateHost, bus: PrivateBus) -> None:
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        lease = await source.when(lambda: source.leases().get("up-b"))
        file = networkd.lease_file(socket.if_nametoindex("up-b"))
        whole = file.read_text()
        file.write_text(whole[:-10])
        await source.when(lambda: source.source.statistics().malformed > 0 or None)
        assert source.leases()["up-b"] == lease
        file.write_text(whole)


async def test_a_link_changed_by_bus(private_host: PrivateHost, bus: PrivateBus) -> None:
    """``networkctl reconfigure`` and the like: a link that networkd is told to let go of its lease, or renew it."""
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        before = await source.when(lambda: source.leases().get("up-a"))
        async with open_system_bus(bus.address) as connection:
            index = socket.if_nametoindex("up-a")
            await connection.call(NAME, PATH, f"{NAME}.Manager", "RenewLink", "i", (index,))
        await source.when(lambda: source.leases()["up-a"].valid_until > before.valid_until)


# ---------------------------------------------------------------- through the MIF


async def test_announced_from_bound_to_released(lab: Lab, private_host: PrivateHost, bus: PrivateBus) -> None:
    """The kernel hears no router, and knows nothing of name servers: all that is said comes from networkd."""
    nobody = SimulatedHost()
    networkd = Networkd(private_host, uplinks=UPLINKS, vpn=VPN)
    sources: list[Source] = [NetlinkSource(), NetworkdSource(networkd.directory, bus.address)]
    mif = Mif(Core("networkd"), sources, names=nobody, connect=nobody.connect)
    async with run_element(mif), open_program(mif) as program:
        ipv4, ipv6 = await program.domain("up-a/ipv4"), await program.domain("up-a/ipv6")
        await program.when(lambda: Information.SEARCH_DOMAINS in data_of(mif, "up-a/ipv6", ElementType.RA))
        assert program.elements("up-a/ipv4") == {ElementType.DHCPV4: Origin("networkd", A)}
        program.begin()
        program.post(GetConfigurationData(ipv4, ElementType.DHCPV4, Information.DNS_SERVERS))
        answer = await program.until(ConfigurationData)
        assert answer.data == (A, IPv4Address("198.51.100.3"))
        assert {each.origin for each in answer.provenance} == {Origin("networkd", A)}
        assert await program.get(ipv6, ElementType.RA, Information.ROUTERS) == (ROUTER_A,)
        assert program.addresses("up-a/ipv6") == {"2001:db8:a::ff:fe00:a02"}
        vpn = await program.domain("vpn0/ipv4")
        assert await program.get(vpn, ElementType.STATIC, Information.SPLIT_DOMAINS) == ("corp.example",)

        program.begin()
        networkd.process.end_gently(signal.SIGTERM)
        await program.until(NoProvisioningDomainAnnouncement, domain=ipv4)
        about = [type(each).__name__ for each in program.news if getattr(each, "domain", None) == ipv4]
        assert about[-3:] == [
            "NoAddressAnnouncement",
            "NoConfigurationElementAnnouncement",
            "NoProvisioningDomainAnnouncement",
        ]


# ---------------------------------------------------------------- the bus


async def test_the_bus_goes_and_comes(private_host: PrivateHost, bus: PrivateBus) -> None:
    networkd = Networkd(private_host, uplinks=UPLINKS)
    async with running(NetworkdSource(networkd.directory, bus.address)) as source:
        await source.when(lambda: len(source.leases()) == 2)
        bus.stop()
        (networkd.directory / "links/1").touch()
        await trio.sleep(0.3)
        assert len(source.leases()) == 2
        assert source.limitations() == []
        bus.start()


async def test_a_hanging_networkd_is_not_waited_for_for_ever(private_host: PrivateHost, bus: PrivateBus) -> None:
    networkd = Networkd(private_host, uplinks=UPLINKS)
    networkd.wait_bound(socket.if_nametoindex("up-a"))
    networkd.wait_bound(socket.if_nametoindex("up-b"))
    networkd.process.send_signal(signal.SIGSTOP)
    try:
        before = trio.current_time()
        async with running(NetworkdSource(networkd.directory, bus.address)) as source:
            assert trio.current_time() - before < 8
            assert set(source.leases()) == {"up-a", "up-b"}
            assert any(isinstance(each, AllLeases) for each in source.facts)
    finally:
        networkd.process.send_signal(signal.SIGCONT)
