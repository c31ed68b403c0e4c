"""Leases followed in their files: every way in which a file changes, and which lease counts."""

from __future__ import annotations

import math
import os
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import pytest
import trio

from trimif._facts import DHCPv6Lease, Lease
from trimif._information import Information
from trimif._sources.dhclient import DhclientSource

from .lease_files import lease_text, running

# ---------------------------------------------------------------- ways in which files change


async def test_leases_that_are_there_are_reported_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "dhclient.eth0.leases").write_text(lease_text())
    async with running(DhclientSource([tmp_path])) as dhclient:
        lease = (await dhclient.leases())["eth0"]
        assert (lease.address, lease.prefix_length) == (IPv4Address("198.51.100.10"), 24)
        assert lease.valid_until - trio.current_time() == pytest.approx(600, abs=5)


async def test_a_lease_appended_counts_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        for last in (11, 12, 13):
            with file.open("a") as log:
                log.write(lease_text(last=last))
            assert await dhclient.addresses() == {"eth0": f"198.51.100.{last}"}


async def test_a_lease_that_is_half_written_is_not_half_applied(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    file.write_text(lease_text(last=10))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        new = lease_text(last=11)
        with file.open("a") as log:
            log.write(new[:60])
            log.flush()
            await trio.sleep(0.2)
            assert dhclient.nothing_more()
            log.write(new[60:])
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}


async def test_a_file_rewritten_in_place_does_not_lose_its_lease_meanwhile(tmp_path: Path) -> None:
    """As dhclient does after some twenty leases: truncate, then write block by block."""
    file = tmp_path / "dhclient.leases"
    file.write_text(lease_text())
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        with file.open("w") as log:
            for text in (lease_text(seconds=-100), lease_text(last=11)):
                await trio.sleep(0.005)
                log.write(text)
                log.flush()
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        assert dhclient.source.statistics().malformed == 0


async def test_a_file_renamed_into_place_counts(tmp_path: Path) -> None:
    new = tmp_path / "new"
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        for last in (11, 12):
            new.write_text(lease_text(last=last))
            new.rename(tmp_path / "dhclient.leases")
            assert await dhclient.addresses() == {"eth0": f"198.51.100.{last}"}


async def test_a_file_removed_or_renamed_away_counts_no_more(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        file.write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        file.unlink()
        assert await dhclient.addresses() == {}
        file.write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        file.rename(tmp_path / "dhclient.leases~")
        assert await dhclient.addresses() == {}


async def test_directories_may_come_go_and_be_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "lib" / "dhcp"
    async with running(DhclientSource([directory, tmp_path / "never" / "there"])) as dhclient:
        assert await dhclient.addresses() == {}
        directory.mkdir(parents=True)
        (directory / "dhclient.leases").write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        (tmp_path / "var").rename(tmp_path / "old")
        assert await dhclient.addresses() == {}
        directory.mkdir(parents=True)
        (directory / "dhclient.leases").write_text(lease_text(last=11))
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        (directory / "dhclient.leases").unlink()
        directory.rmdir()
        assert await dhclient.addresses() == {}
        directory.mkdir()
        (directory / "dhclient.eth1.leases").write_text(lease_text("eth1"))
        assert await dhclient.addresses() == {"eth1": "198.51.100.10"}


async def test_other_files_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "dhcpd.leases").write_text("lease 198.51.100.10 { ends never; }")  # the server's
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {}
        (tmp_path / "dhcpd.leases").write_text("}")
        (tmp_path / "dhclient.leases").write_text(lease_text())
        assert await dhclient.addresses() == {"eth0": "198.51.100.10"}
        assert dhclient.source.statistics().malformed == 0


# ---------------------------------------------------------------- which lease counts


async def test_the_newest_file_that_mentions_an_interface_counts(tmp_path: Path) -> None:
    old, new = tmp_path / "dhclient.leases", tmp_path / "dhclient.eth0.leases"
    old.write_text(lease_text(last=10) + lease_text("eth1", last=20))
    new.write_text(lease_text(last=11))
    os.utime(old, (1, 1))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth0": "198.51.100.11", "eth1": "198.51.100.20"}
        new.write_text(lease_text(last=11) + lease_text(last=11, seconds=-1))  # released
        assert await dhclient.addresses() == {"eth1": "198.51.100.20"}


async def test_an_expired_lease_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "dhclient.leases").write_text(lease_text(seconds=-2) + lease_text("eth1"))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert await dhclient.addresses() == {"eth1": "198.51.100.10"}


async def test_a_lease_for_ever_has_no_deadline(tmp_path: Path) -> None:
    (tmp_path / "dhclient.leases").write_text('lease { interface "eth0"; fixed-address 198.51.100.9; expire never; }')
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert (await dhclient.leases())["eth0"].valid_until == math.inf


async def test_what_says_nothing_new_is_not_reported_again(tmp_path: Path) -> None:
    file = tmp_path / "dhclient.leases"
    text = lease_text()
    file.write_text(text)
    async with running(DhclientSource([tmp_path])) as dhclient:
        await dhclient.leases()
        for comment in ("# one\n", "# two\n"):
            file.write_text(text + comment)
            await trio.sleep(0.1)
        file.write_text(lease_text(last=11))
        assert await dhclient.addresses() == {"eth0": "198.51.100.11"}
        assert dhclient.source.statistics().facts == 2


# ---------------------------------------------------------------- DHCPv6

LEASE6 = """lease6 {
  interface "eth0";
  ia-na 00:00:0a:02 {
    starts START; renew 300; rebind 480;
    iaaddr 2001:db8:a::1000 { starts START; preferred-life 600; max-life 900; }
    iaaddr 2001:db8:a::1001 { starts START; preferred-life 0; max-life 1; }
  }
  ia-pd 00:00:0a:02 {
    starts START; renew 0; rebind 0;
    iaprefix 2001:db8:b00::/56 { starts START; preferred-life 600; max-life 700; }
  }
}
"""


async def test_every_time_of_a_dhcpv6_lease_is_a_deadline(tmp_path: Path) -> None:
    start = int(time.time()) - 10
    (tmp_path / "dhclient6.leases").write_text(LEASE6.replace("START", str(start)))
    async with running(DhclientSource([tmp_path])) as dhclient:
        (lease,) = await dhclient.all_leases()
        began = trio.current_time() - (time.time() - start)
        assert isinstance(lease, DHCPv6Lease)
        (leased,) = lease.addresses  # the other one has expired
        assert leased.address == IPv6Address("2001:db8:a::1000")
        data = dict(lease.data)
        (delegated,), times = data[Information.DELEGATED_PREFIXES], data[Information.LEASE]
        assert delegated.prefix == IPv6Network("2001:db8:b00::/56")
        told = [times.renew_at, times.rebind_at, times.valid_until, lease.valid_until, leased.valid_until]
        told += [leased.preferred_until, delegated.preferred_until, delegated.valid_until]
        assert [round(each - began) for each in told] == [300, 480, 900, 900, 900, 600, 600, 700]


async def test_a_dhcpv6_lease_released_or_expired_is_not_reported(tmp_path: Path) -> None:
    file = tmp_path / "dhclient6.leases"
    text = LEASE6.replace("START", str(int(time.time())))
    file.write_text(text)
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert len(await dhclient.all_leases()) == 1
        file.write_text(text + text.replace("ia-pd", "released; ia-pd"))
        assert await dhclient.all_leases() == ()
        file.write_text(LEASE6.replace("START", "1000000000") + lease_text())
        assert isinstance((await dhclient.all_leases())[0], Lease)


async def test_both_families_are_told_of_an_interface(tmp_path: Path) -> None:
    (tmp_path / "dhclient.leases").write_text(lease_text())
    (tmp_path / "dhclient6.leases").write_text(LEASE6.replace("START", str(int(time.time()))))
    async with running(DhclientSource([tmp_path])) as dhclient:
        assert {type(lease) for lease in await dhclient.all_leases()} == {Lease, DHCPv6Lease}
