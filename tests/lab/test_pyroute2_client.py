"""A real DHCP client of pyroute2: bound, renewed, released."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio

from trimif._information import Information
from trimif._sources.pyroute2_leases import Pyroute2LeaseSource

from ._dhcp_link import Link, open_link, poll, running, start_dnsmasq

pytestmark = pytest.mark.lab


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    with open_link(tmp_path) as link:
        yield link


async def test_a_real_pyroute2_client_bound_and_renewed(link: Link) -> None:
    start_dnsmasq(link, "--dhcp-range=198.51.100.10,198.51.100.20,120", "--domain=isp.example")
    async with running(Pyroute2LeaseSource([link.directory])) as pyroute2:
        assert await pyroute2.leases() == ()
        command = (sys.executable, "-m", "pyroute2.dhcp.cli", "eth0")
        client = link.start(link.host, *command, end_by=signal.SIGINT)
        bound = await pyroute2.lease()
        assert str(bound.origin) == "pyroute2 from 198.51.100.1"
        assert bound.prefix_length == 24
        assert bound.valid_until - trio.current_time() == pytest.approx(120, abs=5)
        assert bound.routers == (IPv4Address("198.51.100.1"),)
        assert bound.search_domains == ("isp.example",)
        times = dict(bound.data)[Information.LEASE]
        assert trio.current_time() + 50 < times.renew_at < times.rebind_at < times.valid_until == bound.valid_until
        # The file is written before the address is set.
        await poll(lambda: link.host_addresses() == [str(bound.address)])
        client.send_signal(signal.SIGUSR1)
        renewed = await pyroute2.lease()
        assert renewed.address == bound.address
        assert renewed.valid_until > bound.valid_until
        client.send_signal(signal.SIGINT)
        await poll(lambda: client.poll() is not None)
        assert link.host_addresses() == []
        # It has released the lease, and did not write that down: its address being gone is what tells.
        assert (link.directory / "eth0.lease.json").exists()
        assert pyroute2.source.statistics().malformed == 0
