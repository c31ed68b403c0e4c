"""systemd-resolved's files followed, where there is no bus: by root, and by who may not read them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from trimif._information import Information
from trimif._sources.resolved import ResolvedSource
from trimif.testing._running_source import running

NO_BUS = "unix:path=/nonexistent/bus"
LO = 1
"""The index of loopback, in every network namespace."""
NOBODY = 65534


def source(directory: Path) -> ResolvedSource:
    return ResolvedSource(directory / "resolve", directory / "networkd", NO_BUS)


def write(path: Path, text: str) -> None:
    """As resolved does: under another name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".#{path.name}4x9mw2")
    temporary.write_text(text)
    temporary.rename(path)


async def test_nothing_is_said_where_it_never_ran(tmp_path: Path) -> None:
    async with running(source(tmp_path)) as resolved:
        assert resolved.facts == []


async def test_files_come_and_change_and_go(tmp_path: Path) -> None:
    file = tmp_path / f"resolve/netif/{LO}"
    async with running(source(tmp_path)) as resolved:
        write(file, "SERVERS=198.51.100.1\n")
        server = {Information.DNS_SERVERS: (IPv4Address("198.51.100.1"),)}
        await resolved.when(lambda: resolved.configurations() == {"lo": server})
        write(file, "SERVERS=198.51.100.1\nDOMAINS=office.example\n")
        await resolved.when(lambda: Information.SEARCH_DOMAINS in resolved.configurations()["lo"])
        file.unlink()
        await resolved.when(lambda: resolved.configurations() == {})


async def test_a_file_cut_short_and_links_that_are_gone(tmp_path: Path) -> None:
    write(tmp_path / "resolve/netif/2000000000", "SERVERS=198.51.100.1\n")
    write(tmp_path / f"resolve/netif/{LO}", "SERVERS=198.51")
    async with running(source(tmp_path)) as resolved:
        assert resolved.configurations() == {}
        assert resolved.source.statistics().malformed == 1


async def test_links_of_networkd_are_left_to_it(tmp_path: Path) -> None:
    write(tmp_path / f"resolve/netif/{LO}", "SERVERS=198.51.100.1\n")
    write(tmp_path / f"networkd/links/{LO}", "ADMIN_STATE=configured\n")
    async with running(source(tmp_path)) as resolved:
        assert resolved.configurations() == {}


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that everybody may enter; pytest's own are its user's alone."""
    directory = Path(tempfile.mkdtemp(prefix="trimif-resolved-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@contextmanager
def without_privilege() -> Iterator[None]:
    """Be nobody, if this is root."""
    user = os.geteuid()
    if user == 0:
        try:
            os.seteuid(NOBODY)
        except OSError as error:
            pytest.skip(f"there is nobody else in this user namespace: {error}")
    try:
        yield
    finally:
        os.seteuid(user)


async def test_who_may_not_read_them_is_told_so_once(open_directory: Path) -> None:
    write(open_directory / f"resolve/netif/{LO}", "SERVERS=198.51.100.1\n")
    netif = open_directory / "resolve/netif"
    netif.chmod(0)
    write(open_directory / "resolve/resolv.conf", "")
    try:
        with without_privilege():
            async with running(source(open_directory)) as resolved:
                (limitation,) = resolved.limitations()
                assert "name servers of links in systemd-resolved" in limitation.missing
                assert "start the system bus" in limitation.remedy
                assert resolved.configurations() == {}
    finally:
        netif.chmod(0o700)
