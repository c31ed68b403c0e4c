"""systemd-networkd's files followed, where there is no bus: each way in which they change."""

from __future__ import annotations

import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from trimif._information import Information
from trimif._sources.networkd import NetworkdSource, managed_links
from trimif.testing._running_source import running

NO_BUS = "unix:path=/nonexistent/bus"
LO = 1
"""The index of loopback, in every network namespace."""

LEASE = """\
# This is private data. Do not parse.
ADDRESS=198.51.100.10
NETMASK=255.255.255.192
SERVER_ADDRESS=198.51.100.1
LIFETIME=120
DNS=198.51.100.1
DOMAINNAME=isp.example
"""
LINK = """\
ADMIN_STATE=configured
DNS=198.51.100.1 2001:db8::1
DOMAINS=isp.example office.example
ROUTE_DOMAINS=corp.example
"""


def write(path: Path, text: str) -> None:
    """As networkd does: under another name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".#{path.name}4x9mw2")
    temporary.write_text(text)
    temporary.rename(path)


def source(directory: Path) -> NetworkdSource:
    return NetworkdSource(directory / "netif", NO_BUS)


async def test_nothing_is_said_where_it_never_ran(tmp_path: Path) -> None:
    async with running(source(tmp_path)) as networkd:
        assert networkd.facts == []


async def test_leases_come_and_change_and_go(tmp_path: Path) -> None:
    file = tmp_path / f"netif/leases/{LO}"
    async with running(source(tmp_path)) as networkd:
        write(tmp_path / f"netif/links/{LO}", LINK)
        write(file, LEASE)
        lease = await networkd.when(lambda: networkd.leases().get("lo"))
        assert (lease.address, lease.valid_until) == (IPv4Address("198.51.100.10"), math.inf)
        write(file, LEASE.replace("198.51.100.10", "198.51.100.11"))
        await networkd.when(lambda: networkd.leases()["lo"].address == IPv4Address("198.51.100.11"))
        file.unlink()
        await networkd.when(lambda: networkd.leases() == {})


async def test_a_lease_cut_short_is_none(tmp_path: Path) -> None:
    file = tmp_path / f"netif/leases/{LO}"
    write(tmp_path / f"netif/links/{LO}", LINK)
    write(file, LEASE[:-20])
    async with running(source(tmp_path)) as networkd:
        assert networkd.leases() == {}
        assert networkd.source.statistics().malformed == 1
        write(file, LEASE)
        await networkd.when(lambda: networkd.leases().get("lo"))


async def test_what_the_lease_does_not_explain_counts_as_configured(tmp_path: Path) -> None:
    """Without a bus nobody says who told the rest."""
    write(tmp_path / f"netif/links/{LO}", LINK)
    write(tmp_path / f"netif/leases/{LO}", LEASE)
    async with running(source(tmp_path)) as networkd:
        assert networkd.configurations() == {
            "lo": {
                Information.DNS_SERVERS: (IPv6Address("2001:db8::1"),),
                Information.SEARCH_DOMAINS: ("office.example",),
                Information.SPLIT_DOMAINS: ("corp.example",),
            }
        }
        assert networkd.limitations() == []


async def test_links_of_others_and_links_that_are_gone(tmp_path: Path) -> None:
    write(tmp_path / f"netif/links/{LO}", LINK.replace("configured", "unmanaged"))
    for name in ("4000000000", "99999999999999", "2000000000", "nonsense"):
        write(tmp_path / "netif/links" / name, LINK)
        write(tmp_path / "netif/leases" / name, LEASE)
    async with running(source(tmp_path)) as networkd:
        assert (networkd.leases(), networkd.configurations()) == ({}, {})
    assert managed_links(tmp_path / "netif") == {4000000000, 2000000000}


@contextmanager
def descriptors_used_up() -> Iterator[None]:
    """The kernel gives this process no more file descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_inotify_that_is_said(tmp_path: Path) -> None:
    networkd = source(tmp_path)
    facts: list[object] = []
    with descriptors_used_up():
        await networkd.run(facts.extend)
    (limitation,) = facts
    assert "max_user_instances" in str(limitation)
