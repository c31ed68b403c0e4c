"""A real udhcpc with trimif's hook on a real link: everything that can become of its lease, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import trio
from attrs import evolve

from trimif import (
    ConfigurationElementAnnouncement,
    ElementType,
    Information,
    Mif,
    NoConfigurationElementAnnouncement,
    Origin,
)
from trimif._core import Core
from trimif._mif import run_element
from trimif._sources._source import Source
from trimif._sources.netlink import NetlinkSource
from trimif._sources.udhcpc import UdhcpcSource
from trimif.testing import SimulatedHost
from trimif.testing._lab_processes import poll_until
from trimif.testing._lab_udhcpc import Udhcpc
from trimif.testing._servers_dhcpv4 import DHCPv4Offer, serve_dhcpv4

from ._pair import Heard, Pair, pair, telling

pytestmark = pytest.mark.lab

SERVER = IPv4Address("198.51.100.1")
OFFER = DHCPv4Offer(IPv4Address("198.51.100.10"), IPv4Network("198.51.100.0/26"), SERVER, (SERVER,), (SERVER,))


@pytest.fixture
def link(tmp_path: Path, lab_programs: None) -> Iterator[Pair]:
    with pair(tmp_path) as link:
        yield link


def start(link: Pair, *, hook: bool = True) -> Udhcpc:
    udhcpc = Udhcpc(link.host, link.directory, "eth0", hook=hook)
    link.ends.callback(udhcpc.kill)
    return udhcpc


def source_of(link: Pair) -> UdhcpcSource:
    return UdhcpcSource([link.directory / "udhcpc.run" / "udhcpc"])


async def test_bound_renewed_with_other_options_and_released(link: Pair) -> None:
    link.serve()
    async with telling(source_of(link)) as told:
        assert told.sets == [()]
        udhcpc = start(link)
        await told.until(lambda: told.ipv4() is not None)
        bound = told.ipv4()
        assert bound is not None
        assert bound.origin == Origin("udhcpc", SERVER)
        assert bound.prefix_length == 26
        assert bound.valid_until - trio.current_time() == pytest.approx(120, abs=5)
        assert (bound.dns_servers, bound.ntp_servers, bound.mtu) == ((SERVER,), (SERVER,), 1460)
        assert bound.search_domains == ("isp.example", "example.com")
        assert [str(route) for route in bound.routes] == [
            "203.0.113.64/26 via 198.51.100.1",
            "0.0.0.0/0 via 198.51.100.1",
        ]
        data = dict(bound.data)
        assert data[Information.CAPTIVE_PORTAL] == "https://portal.isp.example/api"
        renew_at = data[Information.LEASE].renew_at
        assert renew_at - trio.current_time() == pytest.approx(60, abs=5)

        link.serve(dns="198.51.100.7")
        udhcpc.renew()
        await told.until(lambda: getattr(told.ipv4(), "dns_servers", None) == (IPv4Address("198.51.100.7"),))
        renewed = told.ipv4()
        assert renewed is not None
        assert (renewed.address, renewed.origin) == (bound.address, bound.origin)
        assert renewed.valid_until > bound.valid_until

        udhcpc.release()
        await told.until(lambda: told.ipv4() is None)
        assert told.limitations() == []
        assert told.source.statistics().malformed == 0


async def test_killed_and_started_again(link: Pair) -> None:
    link.serve()
    async with telling(source_of(link)) as told:
        udhcpc = start(link)
        await told.until(lambda: told.ipv4() is not None)
        bound = told.ipv4()
        udhcpc.kill()
        assert bound is not None
        assert (udhcpc.lease_directory / "eth0.lease").exists()
        udhcpc.start()  # which first takes the address away
        await told.until(lambda: told.ipv4() not in (None, bound))
        again = told.ipv4()
        assert again is not None
        assert again.address == bound.address
        file = udhcpc.lease_directory / "eth0.lease"
        file.write_text(file.read_text()[:40])  # half written, as the hook never does
        with trio.fail_after(10):
            while not told.source.statistics().malformed:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert told.ipv4() == again


async def test_one_without_the_hook_is_mentioned(link: Pair) -> None:
    udhcpc = start(link, hook=False)
    poll_until(lambda: Path(f"/proc/{udhcpc.process.pid}/comm").read_text() == "udhcpc\n", "udhcpc to run")
    async with telling(source_of(link)) as told:
        assert [limitation.source for limitation in told.limitations()] == ["udhcpc"]


@asynccontextmanager
async def open_mif(link: Pair) -> AsyncIterator[Mif]:
    """A MIF that hears the kernel and udhcpc's hook, and nobody else."""
    nobody = SimulatedHost()
    sources: list[Source] = [source_of(link), NetlinkSource()]
    mif = Mif(Core("udhcpc"), sources, names=nobody, connect=nobody.connect)
    async with run_element(mif):
        yield mif


async def test_a_lease_becomes_an_element_and_goes_again(link: Pair) -> None:
    link.serve()
    async with open_mif(link) as mif, mif.open_subscriber() as subscriber:
        heard = Heard(subscriber)
        udhcpc = start(link)
        come = await heard.until(ConfigurationElementAnnouncement, ElementType.DHCPV4)
        assert come.origin == Origin("udhcpc", SERVER)
        domain = mif.domain("eth0/ipv4")
        assert domain is not None
        assert domain.get(ElementType.DHCPV4, Information.DNS_SERVERS) == (SERVER,)
        udhcpc.release()
        await heard.until(NoConfigurationElementAnnouncement, ElementType.DHCPV4)


async def test_a_lease_ends_on_time_when_the_client_is_gone(link: Pair) -> None:
    """It has set the address for ever, and nobody is left to take it away."""
    async with open_mif(link) as mif, mif.open_subscriber() as subscriber:
        heard = Heard(subscriber)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_dhcpv4, link.isp, "isp0", evolve(OFFER, lease_time=4))
            udhcpc = start(link)
            await heard.until(ConfigurationElementAnnouncement, ElementType.DHCPV4)
            bound_at = trio.current_time()
            udhcpc.kill()
            nursery.cancel_scope.cancel()
        await heard.until(NoConfigurationElementAnnouncement, ElementType.DHCPV4)
        assert trio.current_time() - bound_at == pytest.approx(4, abs=1)
        assert "198.51.100.10" in link.addresses()
