"""The reference link on a real kernel: what it told at rest is what ``ip`` says, and what it can't do it says."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
import trio
import trio.testing

import trimif
from trimif._facts import Fact
from trimif._sources.pyroute2_link import LIMITATIONS, Pyroute2LinkSource
from trimif.testing._namespaces import Namespace

from .netlink_host import configure, following, truth, wait_for_truth
from .test_netlink import CHANGES

pytestmark = pytest.mark.lab


async def test_the_first_report_is_the_whole_host(host: Namespace) -> None:
    source = Pyroute2LinkSource()
    async with following(source) as mirror:
        assert mirror.state() == truth(host)
        assert source.statistics().resynchronisations == 1
        assert mirror.limitations == list(LIMITATIONS)


@pytest.mark.parametrize("name", CHANGES)
async def test_after_a_change(host: Namespace, name: str) -> None:
    async with following(Pyroute2LinkSource()) as mirror:
        for line in CHANGES[name]:
            configure(host, line)
            await trio.testing.wait_all_tasks_blocked()
        await wait_for_truth(mirror, host)
        assert mirror.limitations == list(LIMITATIONS)


@pytest.mark.parametrize("name", CHANGES)
async def test_after_changes_at_once(host: Namespace, name: str) -> None:
    async with following(Pyroute2LinkSource()) as mirror:
        configure(host, *CHANGES[name])
        await wait_for_truth(mirror, host)


# ---------------------------------------------------------------- its end


async def test_an_overrun_ends_it(host: Namespace) -> None:
    source = Pyroute2LinkSource(receive_buffer=2048)
    changes = [f"address add 203.0.113.{n}/32 dev eth0" for n in range(100)]

    def overrun(_facts: Sequence[Fact]) -> None:
        if source.statistics().resynchronisations and changes:
            configure(host, *changes)
            changes.clear()

    with pytest.raises(OSError, match="receive buffer overflowed") as caught:
        with trio.fail_after(10):
            await source.run(overrun)
    assert caught.value.errno == errno.ENOBUFS
    assert source.statistics().overruns == 1


async def test_an_overrun_ends_a_mif(host: Namespace) -> None:
    """Never silence: the block is left with an error that names the cause and the remedy."""
    with pytest.raises(OSError, match='link="netlink"') as caught:
        with trio.fail_after(20):
            async with trimif.open_mif(link="pyroute2") as mif:
                assert {each.source for each in mif.statistics().limitations} >= {"pyroute2 link"}
                flap = ["address add 203.0.113.1/32 dev eth0", "address delete 203.0.113.1/32 dev eth0"]
                configure(host, *(flap * 15000))
                await trio.sleep_forever()
    assert caught.value.errno == errno.ENOBUFS


@pytest.mark.parametrize("moment", range(60))
async def test_cancelled_at_any_moment_it_leaves_nothing(host: Namespace, moment: int) -> None:
    """Checkpoint by checkpoint through the start, and into the dumps that follow an event."""
    before = sorted(os.listdir("/proc/self/fd"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Pyroute2LinkSource().run, lambda _facts: None)
        for _ in range(moment):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_what_is_started_when_it_reports_is_not_in_its_loop(host: Namespace) -> None:
    """Tasks that a MIF starts on a report inherit the context of whoever reports."""

    def report(_facts: Sequence[Fact]) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()

    async with trio.open_nursery() as nursery:
        await nursery.start(Pyroute2LinkSource().run, report)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- without trio-asyncio

OPEN = """
import trio, trimif
async def main():
    async with trimif.open_mif(link="pyroute2"):
        print("open")
trio.run(main)
"""
NOT_INSTALLED = "import sys; sys.modules['trio_asyncio'] = None"
PYTHON_3_14 = "import asyncio.events; del asyncio.events.BaseDefaultEventLoopPolicy"


@pytest.mark.parametrize("circumstance", [NOT_INSTALLED, PYTHON_3_14])
def test_where_trio_asyncio_does_not_import(host: Namespace, circumstance: str) -> None:
    command = [sys.executable, "-W", "error", "-c", circumstance + OPEN]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    last = finished.stderr.splitlines()[-1]
    assert last.startswith('ImportError: open_mif(link="pyroute2") needs trio-asyncio')
    assert last.endswith("install trimif[asyncio], on a Python before 3.14")


def test_where_it_imports_there_is_no_warning(host: Namespace) -> None:
    finished = subprocess.run([sys.executable, "-W", "error", "-c", OPEN], capture_output=True, text=True, check=False)
    assert (finished.stdout, finished.stderr) == ("open\n", "")


async def test_an_unknown_link_is_refused() -> None:
    with pytest.raises(ValueError, match="link is 'carrier pigeon'; there are 'netlink', 'pyroute2'"):
        async with trimif.open_mif(link="carrier pigeon"):
            pass
