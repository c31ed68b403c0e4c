"""A real dhclient -4 of a real dhcpd: every turn in a lease's life, as facts and as announcements."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio

import trimif
from trimif import (
    ConfigurationElementAnnouncement,
    ElementType,
    Information,
    NoConfigurationElementAnnouncement,
    NoProvisioningDomainAnnouncement,
    Origin,
)
from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._sources.dhclient import DhclientSource
from trimif._wire.dhclient import parse_leases

from ._dhclient import dhcpd_configuration, release, restart, start_dhclient, words
from ._dhcp_link import Link, end, open_link, poll, running, start_dhcpd
from ._program import data_of, kinds, open_program

pytestmark = pytest.mark.lab

ISP = IPv4Address("198.51.100.1")
CHANGED = dhcpd_configuration().replace('"isp.example", "a.isp.example"', '"changed.example"')
ORIGIN = Origin("dhclient", ISP)


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with open_link(tmp_path) as link:
        yield link


@pytest.fixture
def on_host(link: Link) -> Iterator[None]:
    with link.host.entered():
        yield


async def test_bound_extended_with_changed_options_and_released(link: Link) -> None:
    server = start_dhcpd(link, 4, dhcpd_configuration())
    async with running(DhclientSource([link.directory])) as dhclient:
        assert await dhclient.leases() == ()
        client = start_dhclient(link, 4)
        bound = await dhclient.lease()
        check_bound(bound)
        assert [str(bound.address)] == link.host_addresses()
        end(server, signal.SIGTERM)
        start_dhcpd(link, 4, CHANGED)
        await restart(link, client, signal.SIGTERM)
        extended = await dhclient.lease()
        assert extended.address == bound.address
        assert extended.valid_until > bound.valid_until
        assert extended.search_domains == ("changed.example",)
        await release(link, 4)
        assert await dhclient.leases() == ()
        assert link.host_addresses() == []
        assert dhclient.source.statistics().malformed == 0


def check_bound(lease: Lease) -> None:
    assert (lease.interface, lease.origin, lease.prefix_length) == ("eth0", ORIGIN, 24)
    assert lease.valid_until - trio.current_time() == pytest.approx(60, abs=5)
    assert lease.routers == lease.ntp_servers == (ISP,)
    assert words(lease.routes) == ["203.0.113.0/24 via 198.51.100.1", "0.0.0.0/0 via 198.51.100.1"]
    assert words(lease.dns_servers) == ["198.51.100.1", "198.51.100.3"]
    assert lease.search_domains == ("isp.example", "a.isp.example")
    assert lease.mtu == 1460
    data = dict(lease.data)
    assert data[Information.CAPTIVE_PORTAL] == "https://portal.isp.example/api"
    assert data[Information.METERED] is True
    times = data[Information.LEASE]
    assert times.valid_until == lease.valid_until
    assert trio.current_time() + 20 < times.renew_at < times.rebind_at < times.valid_until


async def test_killed_and_started_again_it_never_loses_its_lease(link: Link) -> None:
    """At its start dhclient rewrites its file in place: that must not look as if the lease were gone."""
    start_dhcpd(link, 4, dhcpd_configuration())
    async with running(DhclientSource([link.directory])) as dhclient:
        assert await dhclient.leases() == ()
        client = start_dhclient(link, 4)
        bound = await dhclient.lease()
        await restart(link, client, signal.SIGKILL)
        again = await dhclient.lease()
        assert again.address == bound.address
        assert again.valid_until > bound.valid_until
        assert dhclient.source.statistics().malformed == 0


async def test_the_real_file_cut_at_any_octet(link: Link) -> None:
    start_dhcpd(link, 4, dhcpd_configuration())
    client = start_dhclient(link, 4)
    file = link.directory / "dhclient4.eth0.leases"
    await poll(lambda: file.exists() and file.read_text().count("\n}") == 1)
    await restart(link, client, signal.SIGTERM)
    await poll(lambda: file.read_text().count("\n}") == 2)
    text = file.read_text()
    whole = [parse_leases(text[: at + 1], datetime.timestamp) for at, each in enumerate(text) if each == "}"]
    assert len(whole) == 2
    assert whole[0] != whole[1]
    for length in range(len(text)):
        try:
            leases = parse_leases(text[:length], datetime.timestamp)
        except MalformedInput:
            pytest.fail(f"cut at octet {length} it is malformed")
        assert leases == ([(), *whole][text[:length].count("}")])


# ---------------------------------------------------------------- announcements


async def test_what_a_program_hears_of_a_lease(link: Link, on_host: None) -> None:
    server = start_dhcpd(link, 4, dhcpd_configuration())
    async with trimif.open_mif(lease_directories=[link.directory]) as mif, open_program(mif) as program:
        client = start_dhclient(link, 4)
        domain = await program.domain("eth0/ipv4")
        assert program.elements("eth0/ipv4") == {ElementType.DHCPV4: ORIGIN}
        about = [each for each in program.history if getattr(each, "domain", None) == domain]
        assert kinds(about) == [
            "ProvisioningDomainAnnouncement",
            "ConfigurationElementAnnouncement",
            "AddressAnnouncement",
        ]
        get = program.get
        assert await get(domain, ElementType.DHCPV4, Information.CAPTIVE_PORTAL) == "https://portal.isp.example/api"
        lease = await get(domain, ElementType.DHCPV4, Information.LEASE)
        assert lease is not None
        assert lease.valid_until == await get(domain, ElementType.DHCPV4, Information.VALID_UNTIL)

        end(server, signal.SIGTERM)
        start_dhcpd(link, 4, CHANGED)
        program.begin()
        await restart(link, client, signal.SIGTERM)
        changed = await program.until(ConfigurationElementAnnouncement, domain=domain)
        assert (changed.element, changed.origin) == (ElementType.DHCPV4, ORIGIN)
        assert not [each for each in kinds(program.news) if each.startswith("No")]
        assert await get(domain, ElementType.DHCPV4, Information.SEARCH_DOMAINS) == ("changed.example",)

        program.begin()
        await release(link, 4)
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert kinds([each for each in program.news if getattr(each, "domain", None) == domain]) == [
            "NoAddressAnnouncement",
            "NoConfigurationElementAnnouncement",
            "NoProvisioningDomainAnnouncement",
        ]


async def test_a_lease_whose_server_is_gone_ends_on_time(link: Link, on_host: None) -> None:
    """The expired lease stays in the file, and a source that starts then does not report it."""
    server = start_dhcpd(link, 4, dhcpd_configuration(4))
    async with trimif.open_mif(lease_directories=[link.directory]) as mif, open_program(mif) as program:
        start_dhclient(link, 4)
        domain = await program.domain("eth0/ipv4")
        end(server, signal.SIGKILL)
        ends = data_of(mif, "eth0/ipv4", ElementType.DHCPV4)[Information.VALID_UNTIL]
        await program.until(NoConfigurationElementAnnouncement, domain=domain, element=ElementType.DHCPV4)
        assert abs(trio.current_time() - ends) < 0.8
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert "expire" in (link.directory / "dhclient4.eth0.leases").read_text()
        async with running(DhclientSource([link.directory])) as dhclient:
            assert await dhclient.leases() == ()
