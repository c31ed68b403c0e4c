"""A real systemd-resolved: what programs told it of a link is reported, and how that changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest
import trio

from trimif import ConfigurationData, ConfigurationElementAnnouncement, ElementType, GetConfigurationData, Mif, Origin
from trimif._core import Core
from trimif._information import DnsServerSelection, EncryptedDnsServer, Information
from trimif._mif import run_element
from trimif._sources.netlink import NetlinkSource
from trimif._sources.resolved import ResolvedSource
from trimif.testing import SimulatedHost
from trimif.testing._lab import Lab
from trimif.testing._lab_bus import PrivateBus
from trimif.testing._lab_networkd import VPN, Networkd
from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_processes import poll_until
from trimif.testing._lab_resolved import Resolved, why_not_unpacked
from trimif.testing._namespaces import Namespace
from trimif.testing._running_source import running

from ._program import data_of, open_program

pytestmark = pytest.mark.lab

A, B = IPv4Address("198.51.100.129"), IPv6Address("fd6d:6966:1::1")
NO_BUS = "unix:path=/nonexistent/bus"


@pytest.fixture
def private_host(lab: Lab, on_host: Namespace) -> Iterator[PrivateHost]:
    if (reason := why_not_unpacked("systemd-resolved")) is not None:
        (pytest.fail if os.environ.get("TRIMIF_REQUIRE_LAB") == "1" else pytest.skip)(reason)
    with PrivateHost(lab.host, lab.directory) as host:
        yield host


@pytest.fixture
def bus(lab: Lab, private_host: PrivateHost) -> Iterator[PrivateBus]:
    with PrivateBus(lab.host, lab.directory) as bus:
        private_host.use_bus(bus)
        yield bus


@pytest.fixture
def resolved(private_host: PrivateHost, bus: PrivateBus) -> Resolved:
    return Resolved(private_host, bus)


@pytest.fixture
def source(private_host: PrivateHost, bus: PrivateBus, resolved: Resolved) -> ResolvedSource:
    return ResolvedSource(resolved.directory, private_host.run_directory / "systemd/netif", bus.address)


async def test_set_and_changed_and_reverted(resolved: Resolved, source: ResolvedSource) -> None:
    async with running(source) as watched:
        assert watched.configurations() == {}
        resolved.control("dns", "vpn0", f"{A}#dns.corp.example", str(B))
        servers = {
            Information.DNS_SERVERS: (A, B),
            Information.ENCRYPTED_DNS: (EncryptedDnsServer(1, "dns.corp.example", (A,), ("dot",)),),
        }
        await watched.when(lambda: watched.configurations() == {"vpn0": servers})
        resolved.control("domain", "vpn0", "~corp.example")
        await watched.when(lambda: Information.SPLIT_DOMAINS in watched.configurations()["vpn0"])
        only_corp = tuple(DnsServerSelection(server, 0, ("corp.example",)) for server in (A, B))
        assert watched.configurations()["vpn0"] == servers | {
            Information.SPLIT_DOMAINS: ("corp.example",),
            Information.DNS_SELECTION: only_corp,
        }
        resolved.control("domain", "vpn0", "~.", "office.example")
        await watched.when(lambda: watched.configurations()["vpn0"].get(Information.SPLIT_DOMAINS) == (".",))
        assert watched.configurations()["vpn0"][Information.SEARCH_DOMAINS] == ("office.example",)
        resolved.control("revert", "vpn0")
        await watched.when(lambda: watched.configurations() == {})
        assert watched.source.statistics().malformed == 0
        assert watched.limitations() == []


async def test_killed_and_started_again(resolved: Resolved, source: ResolvedSource) -> None:
    """It keeps what it was told; so does trimif meanwhile."""
    resolved.control("dns", "vpn0", str(A))
    async with running(source) as watched:
        assert set(watched.configurations()) == {"vpn0"}
        resolved.kill()
        (resolved.directory / "resolv.conf").touch()  # a sign: trimif looks, and asks in vain
        await trio.sleep(0.3)
        assert set(watched.configurations()) == {"vpn0"}
        resolved.start()
        resolved.control("dns", "vpn0", str(B))
        await watched.when(lambda: watched.configurations() == {"vpn0": {Information.DNS_SERVERS: (B,)}})


async def test_a_link_that_is_deleted(lab: Lab, resolved: Resolved, source: ResolvedSource) -> None:
    lab.ip("host", "link add tun9 type veth peer name tun8")
    resolved.control("dns", "tun9", str(A))
    resolved.control("dns", "vpn0", str(B))
    async with running(source) as watched:
        assert set(watched.configurations()) == {"tun9", "vpn0"}
        lab.ip("host", "link delete tun9")
        await watched.when(lambda: set(watched.configurations()) == {"vpn0"})


async def test_a_link_of_networkd_is_networkds(
    lab: Lab, private_host: PrivateHost, resolved: Resolved, source: ResolvedSource
) -> None:
    """resolved has its servers too, from networkd's files; only networkd knows where they came from."""
    lab.ip("host", "address flush dev vpn0")
    Networkd(private_host, vpn=VPN)
    resolved.control("dns", "up-b", "198.51.100.65")
    poll_until(lambda: str(A) in resolved.control("dns", "vpn0"), "resolved to read networkd's file")
    async with running(source) as watched:
        assert set(watched.configurations()) == {"up-b"}


async def test_root_reads_its_files_where_there_is_no_bus(private_host: PrivateHost, resolved: Resolved) -> None:
    resolved.control("dns", "vpn0", str(A))
    resolved.control("domain", "vpn0", "~corp.example")
    networkd = private_host.run_directory / "systemd/netif"
    async with running(ResolvedSource(resolved.directory, networkd, NO_BUS)) as watched:
        assert watched.configurations() == {
            "vpn0": {Information.DNS_SERVERS: (A,), Information.SPLIT_DOMAINS: ("corp.example",)}
        }
        resolved.control("revert", "vpn0")
        await watched.when(lambda: watched.configurations() == {})


async def test_the_tunnels_domain_has_its_name_servers(resolved: Resolved, source: ResolvedSource) -> None:
    """Through the MIF: a VPN told resolved; each server belongs to the domain of its family."""
    nobody = SimulatedHost()
    mif = Mif(Core("vpn"), [NetlinkSource(), source], names=nobody, connect=nobody.connect)
    async with run_element(mif), open_program(mif) as program:
        ipv4, ipv6 = await program.domain("vpn0/ipv4"), await program.domain("vpn0/ipv6")
        assert Information.DNS_SERVERS not in data_of(mif, "vpn0/ipv4", ElementType.STATIC)
        resolved.control("dns", "vpn0", str(A), str(B))
        resolved.control("domain", "vpn0", "~corp.example")
        await program.when(lambda: Information.SPLIT_DOMAINS in data_of(mif, "vpn0/ipv6", ElementType.STATIC))
        assert await program.get(ipv6, ElementType.STATIC, Information.DNS_SERVERS) == (B,)
        assert await program.get(ipv4, ElementType.STATIC, Information.SPLIT_DOMAINS) == ("corp.example",)
        program.begin()
        program.post(GetConfigurationData(ipv4, ElementType.STATIC, Information.DNS_SERVERS))
        answer = await program.until(ConfigurationData)
        assert answer.data == (A,)
        assert [each.origin for each in answer.provenance] == [Origin("resolved")]
        resolved.control("revert", "vpn0")
        await program.until(ConfigurationElementAnnouncement, domain=ipv4)
        await program.when(lambda: Information.DNS_SERVERS not in data_of(mif, "vpn0/ipv4", ElementType.STATIC))
