"""A real dhclient -6 of a real dhcpd: every turn in a lease's life, as facts and as announcements."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest
import trio

import trimif
from trimif import (
    ElementType,
    Information,
    NoConfigurationElementAnnouncement,
    NoProvisioningDomainAnnouncement,
    Origin,
)
from trimif._facts import DHCPv6Lease
from trimif._sources.dhclient import DhclientSource
from trimif._wire.dhclient import parse_leases

from ._dhclient import dhcpd6_configuration, release, start_dhclient, words
from ._dhcp_link import Link, end, open_link, poll, running, start_dhcpd
from ._program import data_of, kinds, open_program

pytestmark = pytest.mark.lab

CHANGED = dhcpd6_configuration().replace('"isp.example"', '"changed.example"')
DHCPV6 = ElementType.DHCPV6


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with open_link(tmp_path) as link:
        yield link


@pytest.fixture
def on_host(link: Link) -> Iterator[None]:
    with link.host.entered():
        yield


def check_bound(lease: DHCPv6Lease) -> None:
    assert (lease.interface, lease.origin) == ("eth0", Origin("dhclient"))
    (leased,) = lease.addresses
    now = trio.current_time()
    assert now + 8 < leased.preferred_until < leased.valid_until <= lease.valid_until <= now + 12
    data = dict(lease.data)
    assert data[Information.DNS_SERVERS] == (IPv6Address("2001:db8:a::1"),)
    assert data[Information.NTP_SERVERS] == (IPv6Address("2001:db8:a::2"),)
    assert data[Information.SEARCH_DOMAINS] == ("isp.example",)
    assert data[Information.CAPTIVE_PORTAL] == "https://portal.isp.example/api"
    (delegated,) = data[Information.DELEGATED_PREFIXES]
    assert delegated.prefix == IPv6Network("2001:db8:b00::/56")
    assert delegated.valid_until == leased.valid_until
    times = data[Information.LEASE]
    assert times.renew_at < times.rebind_at < times.valid_until == lease.valid_until


async def test_bound_renewed_with_changed_options_and_released(link: Link) -> None:
    server = start_dhcpd(link, 6, dhcpd6_configuration())
    async with running(DhclientSource([link.directory])) as dhclient:
        assert await dhclient.leases() == ()
        start_dhclient(link, 6)
        bound = await dhclient.lease6()
        check_bound(bound)
        await poll(lambda: link.host_addresses(6) == words([bound.addresses[0].address]))
        end(server, signal.SIGTERM)
        start_dhcpd(link, 6, CHANGED)
        renewed = bound
        with trio.fail_after(10):
            while dict(renewed.data)[Information.SEARCH_DOMAINS] != ("changed.example",):
                renewed = await dhclient.lease6()
        assert [each.address for each in renewed.addresses] == [each.address for each in bound.addresses]
        assert renewed.valid_until > bound.valid_until
        await release(link, 6)
        while leases := await dhclient.leases():  # it may have been renewed once more
            assert isinstance(leases[0], DHCPv6Lease)
        assert link.host_addresses(6) == []
        assert dhclient.source.statistics().malformed == 0


async def test_killed_and_started_again_it_never_loses_its_lease(link: Link) -> None:
    start_dhcpd(link, 6, dhcpd6_configuration())
    async with running(DhclientSource([link.directory])) as dhclient:
        assert await dhclient.leases() == ()
        client = start_dhclient(link, 6)
        bound = await dhclient.lease6()
        end(client, signal.SIGKILL)
        start_dhclient(link, 6)
        again = await dhclient.lease6()
        assert again.addresses[0].address == bound.addresses[0].address
        assert again.valid_until > bound.valid_until
        assert dhclient.source.statistics().malformed == 0


async def test_the_real_file_cut_at_any_octet(link: Link) -> None:
    start_dhcpd(link, 6, dhcpd6_configuration())
    start_dhclient(link, 6)
    file = link.directory / "dhclient6.eth0.leases"
    await poll(lambda: file.exists() and file.read_text().count("\n}") == 2)
    text = file.read_text()
    ends = [at + 2 for at in range(len(text)) if text.startswith("\n}", at)]
    whole = [(), *(parse_leases(text[:at], datetime.timestamp) for at in ends)]
    for length in range(len(text)):
        assert parse_leases(text[:length], datetime.timestamp) == whole[sum(at <= length for at in ends)]


# ---------------------------------------------------------------- announcements


async def test_what_a_program_hears_of_a_lease(link: Link, on_host: None) -> None:
    server = start_dhcpd(link, 6, dhcpd6_configuration())
    async with trimif.open_mif(lease_directories=[link.directory]) as mif, open_program(mif) as program:
        start_dhclient(link, 6)
        domain = await program.domain("eth0/ipv6")
        assert program.elements("eth0/ipv6") == {DHCPV6: Origin("dhclient")}
        about = [each for each in program.history if getattr(each, "domain", None) == domain]
        assert kinds(about)[:3] == [
            "ProvisioningDomainAnnouncement",
            "ConfigurationElementAnnouncement",
            "AddressAnnouncement",
        ]
        assert await program.get(domain, DHCPV6, Information.DNS_SERVERS) == (IPv6Address("2001:db8:a::1"),)
        delegated = await program.get(domain, DHCPV6, Information.DELEGATED_PREFIXES)
        assert words([each.prefix for each in delegated or ()]) == ["2001:db8:b00::/56"]

        end(server, signal.SIGTERM)
        start_dhcpd(link, 6, CHANGED)
        program.begin()
        await program.when(
            lambda: data_of(mif, "eth0/ipv6", DHCPV6).get(Information.SEARCH_DOMAINS) == ("changed.example",)
        )
        program.listen()
        assert "ConfigurationElementAnnouncement" in kinds(program.news)
        assert not [each for each in kinds(program.news) if each.startswith("No")]

        program.begin()
        await release(link, 6)
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        withdrawn = [each for each in program.news if getattr(each, "domain", None) == domain]
        assert kinds(withdrawn)[-3:] == [
            "NoAddressAnnouncement",
            "NoConfigurationElementAnnouncement",
            "NoProvisioningDomainAnnouncement",
        ]


async def test_a_lease_whose_server_is_gone_ends_on_time(link: Link, on_host: None) -> None:
    server = start_dhcpd(link, 6, dhcpd6_configuration(4))
    async with trimif.open_mif(lease_directories=[link.directory]) as mif, open_program(mif) as program:
        start_dhclient(link, 6)
        domain = await program.domain("eth0/ipv6")
        end(server, signal.SIGKILL)
        await program.until(NoConfigurationElementAnnouncement, domain=domain, element=DHCPV6)
        # A renewal may have been written just before the server was killed; the last lease in the file counts.
        (last,) = parse_leases((link.directory / "dhclient6.eth0.leases").read_text(), datetime.timestamp)
        assert abs(time.time() - last.valid_until) < 0.8
        await program.until(NoProvisioningDomainAnnouncement, domain=domain)
        assert "released" not in (link.directory / "dhclient6.eth0.leases").read_text()
        async with running(DhclientSource([link.directory])) as dhclient:
            assert await dhclient.leases() == ()
