"""A real dhcpcd on a real link: everything that can become of its leases, and what is told of it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
import trio
from attrs import evolve

from trimif import (
    ConfigurationElementAnnouncement,
    ElementType,
    Mif,
    NoConfigurationElementAnnouncement,
    Origin,
)
from trimif._core import Core
from trimif._information import Information
from trimif._mif import run_element
from trimif._sources._source import Source
from trimif._sources.dhcpcd import DhcpcdSource
from trimif._sources.netlink import NetlinkSource
from trimif.testing import SimulatedHost
from trimif.testing._lab_dhcpcd import Dhcpcd, separates_privileges
from trimif.testing._servers_dhcpv4 import DHCPv4Offer, serve_dhcpv4

from ._pair import Heard, Pair, pair, telling

pytestmark = pytest.mark.lab

SERVER = IPv4Address("198.51.100.1")
OFFER = DHCPv4Offer(IPv4Address("198.51.100.10"), IPv4Network("198.51.100.0/26"), SERVER, (SERVER,), (SERVER,))
IPV4_ALONE = "ipv4only\n"


@pytest.fixture
def link(tmp_path: Path, lab_programs: None) -> Iterator[Pair]:
    with pair(tmp_path) as link:
        yield link


@pytest.fixture
def talkative() -> None:
    """For tests in which dhcpcd has to say more than one thing."""
    if not separates_privileges():
        pytest.skip("dhcpcd 9.4 hangs up after each block where it can't become a user of its own: run this as root")


def start(link: Pair, *interfaces: str, more: str = "") -> Dhcpcd:
    dhcpcd = Dhcpcd(link.host, link.directory, *interfaces, more=more)
    link.ends.callback(dhcpcd.kill)
    return dhcpcd


def source_of(link: Pair, *, files: bool = True) -> DhcpcdSource:
    """A source that sees dhcpcd's directories; without the lease files as one without privilege."""
    return DhcpcdSource([link.directory / "dhcpcd.run"], [link.directory / "dhcpcd.lib"] if files else [])


def make_old(dhcpcd: Dhcpcd) -> None:
    """Let the socket look as if it had been there for long: a dhcpcd that has just started is not asked yet."""
    (path,) = dhcpcd.run_directory.glob("*unpriv.sock")
    os.utime(path, (time.time() - 60,) * 2)


async def test_bound_renewed_with_other_options_and_released(link: Pair, talkative: None) -> None:
    link.serve()
    async with telling(source_of(link)) as told:
        assert told.sets == [()]
        dhcpcd = start(link)
        await told.until(lambda: told.ipv4() is not None and told.ipv6() is not None and bool(told.routers()))
        bound, bound6, heard = told.ipv4(), told.ipv6(), told.routers()[0]
        assert bound is not None
        assert bound6 is not None
        assert bound.origin == Origin("dhcpcd", SERVER)
        assert f"{bound.address}/{bound.prefix_length}" in link.addresses()
        assert bound.valid_until - trio.current_time() == pytest.approx(120, abs=5)
        assert (bound.dns_servers, bound.ntp_servers, bound.mtu) == ((SERVER,), (SERVER,), 1460)
        assert bound.search_domains == ("isp.example", "example.com")
        assert [str(route) for route in bound.routes] == [
            "203.0.113.64/26 via 198.51.100.1",
            "0.0.0.0/0 via 198.51.100.1",
        ]
        assert dict(bound.data)[Information.CAPTIVE_PORTAL] == "https://portal.isp.example/api"
        assert bound6.origin == Origin("dhcpcd")
        assert dict(bound6.data)[Information.DNS_SERVERS] == (IPv6Address("2001:db8:a::1"),)
        assert f"{bound6.addresses[0].address}/" in link.addresses()
        assert bound6.valid_until - trio.current_time() == pytest.approx(120, abs=5)
        assert heard.header is not None
        assert heard.header.managed
        assert [each.prefix for each in heard.prefixes] == [IPv6Network("2001:db8:a::/64")]

        link.serve(dns="198.51.100.7", dns6="2001:db8:a::7")
        dhcpcd.renew()
        await told.until(lambda: getattr(told.ipv4(), "dns_servers", None) == (IPv4Address("198.51.100.7"),))
        await told.until(
            lambda: (
                dict(getattr(told.ipv6(), "data", ())).get(Information.DNS_SERVERS) == (IPv6Address("2001:db8:a::7"),)
            )
        )
        renewed = told.ipv4()
        assert renewed is not None
        assert (renewed.address, renewed.origin) == (bound.address, bound.origin)
        assert renewed.valid_until > bound.valid_until

        dhcpcd.release()
        await told.until(lambda: told.sets[-1] == ())
        assert told.source.statistics().malformed == 0
        assert told.limitations() == []


async def test_the_cable_is_pulled_out(link: Pair, talkative: None) -> None:
    link.serve()
    async with telling(source_of(link, files=False)) as told:
        start(link)
        await told.until(lambda: len(told.sets[-1]) == 2 and bool(told.routers()))
        link.isp.run(["ip", "link", "set", "isp0", "down"], check=True)
        await told.until(lambda: told.sets[-1] == () and len(told.routers()) > 1)
        withdrawn = told.routers()[-1]
        assert withdrawn.header is not None
        assert withdrawn.header.until <= trio.current_time()
        assert all(prefix.valid_until <= trio.current_time() for prefix in withdrawn.prefixes)


async def test_killed_and_started_again(link: Pair, talkative: None) -> None:
    link.serve()
    async with telling(source_of(link, files=False)) as told:
        dhcpcd = start(link, more=IPV4_ALONE)
        await told.until(lambda: told.ipv4() is not None)
        bound = told.ipv4()
        dhcpcd.kill()
        assert f"{OFFER.network.network_address}"[:10] in link.addresses()
        assert (dhcpcd.run_directory / "unpriv.sock").exists()
        dhcpcd.start()
        await told.until(lambda: told.ipv4() != bound)
        again = told.ipv4()
        assert again is not None
        assert bound is not None
        assert again.address == bound.address
        # Nobody heard that the lease was lost in between: it never was.
        assert [len(leases) for leases in told.sets] == [0, *[1] * (len(told.sets) - 1)]


async def test_ended_by_a_person_its_address_and_lease_stay(link: Pair) -> None:
    """Debian's configuration has ``persistent``."""
    link.serve()
    async with telling(source_of(link)) as told:
        dhcpcd = start(link, more=IPV4_ALONE)
        await told.until(lambda: told.ipv4() is not None)
        bound = told.ipv4()
        dhcpcd.stop()
        assert bound is not None
        assert str(bound.address) in link.addresses()
        with trio.move_on_after(0.5):
            await told.until(lambda: told.ipv4() is None)
        assert told.ipv4() == bound


@pytest.mark.parametrize("interfaces", [(), ("eth0",)])
async def test_what_is_there_is_told_at_the_start(link: Pair, talkative: None, interfaces: tuple[str, ...]) -> None:
    link.serve()
    dhcpcd = start(link, *interfaces)
    dhcpcd.wait_said("dhcpcd-run-hooks BOUND6")
    dhcpcd.wait_said("dhcpcd-run-hooks BOUND\n")
    make_old(dhcpcd)
    assert [path.name for path in dhcpcd.run_directory.glob("*unpriv.sock")] == [
        f"{interfaces[0]}.unpriv.sock" if interfaces else "unpriv.sock"
    ]
    async with telling(source_of(link, files=False)) as told:
        assert told.ipv4() is not None
        assert told.ipv6() is not None
        assert told.routers()
        assert told.limitations() == []
        assert told.source.statistics().resynchronisations == 1
    assert dhcpcd.process.running()


async def test_files_tell_where_no_dhcpcd_answers(link: Pair) -> None:
    link.serve()
    dhcpcd = start(link)
    dhcpcd.wait_said("dhcpcd-run-hooks BOUND6")
    dhcpcd.wait_said("dhcpcd-run-hooks BOUND\n")
    dhcpcd.kill()
    file = dhcpcd.lease_directory / "eth0.lease"
    octets = file.read_bytes()
    async with telling(source_of(link)) as told:
        lease, lease6 = told.ipv4(), told.ipv6()
        assert lease is not None
        assert lease6 is not None
        assert str(lease.address) in link.addresses()
        assert lease.origin == Origin("dhcpcd", SERVER)
        assert lease.valid_until - trio.current_time() == pytest.approx(120, abs=8)
        assert str(lease6.addresses[0].address) in link.addresses()

        file.write_bytes(octets[:250])  # half written
        (dhcpcd.lease_directory / "eth0.lease6").unlink()
        await told.until(lambda: told.ipv6() is None)
        assert told.ipv4() == lease
        assert told.source.statistics().malformed > 0
        file.write_bytes(octets)
        await told.until(lambda: told.ipv4() not in (None, lease))  # the same, and newer
        dhcpcd.start()
        await told.until(lambda: told.ipv6() is not None)


# ---------------------------------------------------------------- through a MIF


@asynccontextmanager
async def open_mif(link: Pair) -> AsyncIterator[Mif]:
    """A MIF that hears the kernel and dhcpcd, and nobody else."""
    nobody = SimulatedHost()
    sources: list[Source] = [source_of(link, files=False), NetlinkSource()]
    mif = Mif(Core("dhcpcd"), sources, names=nobody, connect=nobody.connect)
    async with run_element(mif):
        yield mif


async def test_a_lease_becomes_an_element_and_goes_again(link: Pair) -> None:
    link.serve()
    async with open_mif(link) as mif, mif.open_subscriber() as subscriber:
        heard = Heard(subscriber)
        dhcpcd = start(link)
        come = await heard.until(ConfigurationElementAnnouncement, ElementType.DHCPV4)
        assert come.origin == Origin("dhcpcd", SERVER)
        domain = mif.domain("eth0/ipv4")
        assert domain is not None
        assert domain.get(ElementType.DHCPV4, Information.DNS_SERVERS) == (SERVER,)
        assert (await heard.until(ConfigurationElementAnnouncement, ElementType.RA)).domain != come.domain
        dhcpcd.release()
        await heard.until(NoConfigurationElementAnnouncement, ElementType.DHCPV4)


async def test_a_lease_ends_on_time_when_the_server_is_gone(link: Pair) -> None:
    """The server gave five seconds. dhcpcd makes twenty of them (DHCP_MIN_LEASE), and the kernel believes it."""
    async with open_mif(link) as mif, mif.open_subscriber() as subscriber:
        heard = Heard(subscriber)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_dhcpv4, link.isp, "isp0", evolve(OFFER, lease_time=5))
            start(link, more=IPV4_ALONE)
            await heard.until(ConfigurationElementAnnouncement, ElementType.DHCPV4)
            bound_at = trio.current_time()
            nursery.cancel_scope.cancel()
        await heard.until(NoConfigurationElementAnnouncement, ElementType.DHCPV4)
        assert trio.current_time() - bound_at == pytest.approx(5, abs=1)
        assert "198.51.100.10" in link.addresses()
