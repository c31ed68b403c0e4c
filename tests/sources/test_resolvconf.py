"""resolvconf's records followed in their files: each way in which they change."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio

from trimif._information import Information
from trimif._sources.resolvconf import ResolvconfSource
from trimif.testing._running_source import running

A, B = IPv4Address("198.51.100.1"), IPv4Address("198.51.100.2")


def write(path: Path, text: str) -> None:
    """As Debian's does: under another name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}_new.4711")
    temporary.write_text(text)
    temporary.rename(path)


@pytest.mark.parametrize("place", ["interface", "interfaces", "keys"])
async def test_records_come_and_change_and_go(tmp_path: Path, place: str) -> None:
    record = tmp_path / "resolvconf" / place / "lo.vpn"
    async with running(ResolvconfSource(tmp_path / "resolvconf")) as resolvconf:
        assert resolvconf.facts == []  # nothing is there, so nothing is said
        write(record, "nameserver 198.51.100.1\nsearch a.example\n")
        await resolvconf.when(resolvconf.configurations)
        expected = {Information.DNS_SERVERS: (A,), Information.SEARCH_DOMAINS: ("a.example",)}
        assert resolvconf.configurations() == {"lo": expected}
        write(record, "nameserver 198.51.100.2\n")
        await resolvconf.when(lambda: resolvconf.configurations()["lo"] == {Information.DNS_SERVERS: (B,)})
        record.unlink()
        await resolvconf.when(lambda: resolvconf.configurations() == {})
        assert resolvconf.source.statistics().malformed == 0


async def test_two_programs_of_one_interface(tmp_path: Path) -> None:
    write(tmp_path / "interface/lo.dhclient", "nameserver 198.51.100.1\n")
    write(tmp_path / "interface/lo", "nameserver 198.51.100.2\nnameserver 198.51.100.1\n")
    async with running(ResolvconfSource(tmp_path)) as resolvconf:
        assert resolvconf.configurations() == {"lo": {Information.DNS_SERVERS: (B, A)}}


async def test_a_private_record_is_for_its_own_domains(tmp_path: Path) -> None:
    write(tmp_path / "keys/lo.vpn", "nameserver 198.51.100.1\nsearch corp.example\n")
    write(tmp_path / "private/lo.vpn", "")
    async with running(ResolvconfSource(tmp_path)) as resolvconf:
        assert resolvconf.configurations()["lo"][Information.SPLIT_DOMAINS] == ("corp.example",)
        assert resolvconf.configurations()["lo"][Information.SEARCH_DOMAINS] == ("corp.example",)
        write(tmp_path / "nosearch/lo.vpn", "")
        await resolvconf.when(lambda: Information.SEARCH_DOMAINS not in resolvconf.configurations()["lo"])
        assert resolvconf.configurations()["lo"][Information.SPLIT_DOMAINS] == ("corp.example",)


async def test_a_record_that_is_no_file_counts_as_malformed(tmp_path: Path) -> None:
    write(tmp_path / "interface/lo", "nameserver 198.51.100.1\n")
    os.mkfifo(tmp_path / "interface/lo.vpn")
    async with running(ResolvconfSource(tmp_path)) as resolvconf:
        assert set(resolvconf.configurations()) == {"lo"}
        assert resolvconf.source.statistics().malformed == 1


async def test_what_is_said_again_is_not_told_again(tmp_path: Path) -> None:
    write(tmp_path / "interface/lo", "nameserver 198.51.100.1\n")
    async with running(ResolvconfSource(tmp_path)) as resolvconf:
        write(tmp_path / "interface/lo", "# the same\nnameserver 198.51.100.1\n")
        write(tmp_path / "interface/lo.vpn", "nameserver 198.51.100.2\n")
        await resolvconf.when(lambda: len(resolvconf.facts) > 1)
        assert len(resolvconf.facts) == 2
        assert resolvconf.source.statistics().facts == 2


async def test_it_keeps_one_descriptor_and_cancelled_none(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    async with running(ResolvconfSource(tmp_path)):
        await trio.testing.wait_all_tasks_blocked()
        assert len(set(os.listdir("/proc/self/fd")) - before) == 1
    assert set(os.listdir("/proc/self/fd")) == before
