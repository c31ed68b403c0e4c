"""The hook as a program of its own, and what the source makes of what it writes. A real udhcpc is in the lab."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from trimif._facts import AllLeases, Fact, Lease, Limitation
from trimif._sources.udhcpc import HOOK, UdhcpcSource
from trimif.testing._namespaces import Namespace

BOUND = {
    "interface": "eth0",
    "ip": "198.51.100.10",
    "subnet": "255.255.255.0",
    "router": "198.51.100.1",
    "lease": "600",
    "serverid": "198.51.100.1",
}
SHELLS = [["sh"], *([["busybox", "ash"]] if shutil.which("busybox") else [])]


def run_hook(directory: Path, action: str, shell: Sequence[str] = (), **variables: str) -> None:
    """Run the hook as udhcpc does."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "TRIMIF_UDHCPC_DIRECTORY": str(directory),
        "TRIMIF_UDHCPC_SCRIPT": "",
        "SECRET": "of whoever started udhcpc",
    }
    subprocess.run([*shell, str(HOOK), action], env=environment | BOUND | variables, check=True)


class Told:
    """What a source has told."""

    def __init__(self) -> None:
        self.history: list[Fact] = []
        self._news = trio.Event()

    def report(self, facts: Sequence[Fact]) -> None:
        self.history += facts
        self._news.set()

    async def news(self) -> Fact:
        """The next fact."""
        with trio.fail_after(10):
            await self._news.wait()
        self._news = trio.Event()
        return self.history[-1]


def leases(fact: Fact) -> list[Lease]:
    assert isinstance(fact, AllLeases)
    assert fact.source == "udhcpc"
    return [lease for lease in fact.leases if isinstance(lease, Lease)]


# ---------------------------------------------------------------- the hook


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_the_hook_writes_what_it_is_told_for_everybody_to_read(tmp_path: Path, shell: Sequence[str]) -> None:
    directory = tmp_path / "run" / "udhcpc"
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    run_hook(directory, "bound", shell, opt114="2f", foo="bar")
    (file,) = directory.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("eth0.lease", 0o644)
    action, boottime, *lines, end = file.read_text().splitlines()
    assert (action, end) == ("action=bound", "end=end")
    assert before - 0.1 <= float(boottime.removeprefix("boottime=")) <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert sorted(lines) == sorted([f"{name}={value}" for name, value in BOUND.items()] + ["opt114=2f"])


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
async def test_a_server_can_not_smuggle_variables_in(tmp_path: Path, shell: Sequence[str]) -> None:
    run_hook(tmp_path, "bound", shell, wpad="x\nip=203.0.113.1\nend=end", domain="a\n$(touch smuggled)`id`\\n%s")
    told = Told()
    async with trio.open_nursery() as nursery:
        await nursery.start(UdhcpcSource([tmp_path], tmp_path).run, told.report)
        (lease,) = leases(told.history[-1])
        assert str(lease.address) == "198.51.100.10"
        nursery.cancel_scope.cancel()
    assert os.listdir(tmp_path) == ["eth0.lease"]


def test_the_hook_becomes_the_script_that_configures_the_host(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\necho "$1 $interface $ip" >{tmp_path}/said\nexit 3\n')
    script.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_hook(tmp_path, "renew", TRIMIF_UDHCPC_SCRIPT=str(script))
    assert failed.value.returncode == 3
    assert (tmp_path / "said").read_text() == "renew eth0 198.51.100.10\n"
    assert (tmp_path / "eth0.lease").exists()


def test_a_directory_that_can_not_be_written_does_not_keep_the_host_from_its_address(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n: >{tmp_path}/said\n")
    script.chmod(0o755)
    run_hook(Path("/proc/nowhere"), "bound", TRIMIF_UDHCPC_SCRIPT=str(script))
    assert (tmp_path / "said").exists()


# ---------------------------------------------------------------- the source


async def test_what_the_hook_writes_is_told(tmp_path: Path) -> None:
    told, directory = Told(), tmp_path / "run" / "udhcpc"
    async with trio.open_nursery() as nursery:
        await nursery.start(UdhcpcSource([directory], tmp_path).run, told.report)
        assert leases(await told.news()) == []
        run_hook(directory, "bound")
        (lease,) = leases(await told.news())
        assert lease.valid_until - trio.current_time() == pytest.approx(600, abs=2)
        run_hook(directory, "renew", dns="198.51.100.7")
        (renewed,) = leases(await told.news())
        assert [str(server) for server in renewed.dns_servers] == ["198.51.100.7"]
        assert renewed.valid_until >= lease.valid_until
        run_hook(directory, "deconfig")
        assert leases(await told.news()) == []
        nursery.cancel_scope.cancel()


async def test_half_a_file_does_not_take_the_lease_away(tmp_path: Path) -> None:
    run_hook(tmp_path, "bound")
    file = tmp_path / "eth0.lease"
    text = file.read_text()
    told, source = Told(), UdhcpcSource([tmp_path], tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(source.run, told.report)
        (lease,) = leases(await told.news())
        file.write_text(text[: len(text) // 2])
        with trio.fail_after(10):
            while not source.statistics().malformed:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert leases(told.history[-1]) == [lease]
        file.write_text(text.replace("198.51.100.10", "198.51.100.11"))
        (other,) = leases(await told.news())
        assert str(other.address) == "198.51.100.11"
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- without the hook


def pretend(processes: Path, number: int, *words: str, comm: str = "udhcpc") -> None:
    """A directory as of a running program."""
    process = processes / str(number)
    (process / "ns").mkdir(parents=True)
    (process / "comm").write_text(comm + "\n")
    (process / "cmdline").write_text("\0".join(words) + "\0")
    (process / "ns" / "net").symlink_to("net:[1]")


@pytest.mark.lab
@pytest.mark.parametrize(
    "words", [("-i", "eth0"), ("-ieth0",), ("-fqi", "eth0"), ("--interface=eth0",), ("--interface", "eth0"), ("-f",)]
)
async def test_who_runs_without_the_hook_is_said_once(host: Namespace, tmp_path: Path, words: tuple[str, ...]) -> None:
    processes = tmp_path / "proc"
    (processes / "thread-self" / "ns").mkdir(parents=True)
    (processes / "thread-self" / "ns" / "net").symlink_to("net:[1]")
    pretend(processes, 10, "udhcpc", *words)
    pretend(processes, 11, "udhcpc", "-i", "wlan7")  # no such interface here
    pretend(processes, 12, "sh", "-i", "lo", comm="sh")
    assert "eth0" in [name for _, name in socket.if_nameindex()]
    told = Told()
    async with trio.open_nursery() as nursery:
        await nursery.start(UdhcpcSource([tmp_path / "run"], processes).run, told.report)
        (limitation,) = [fact for fact in told.history if isinstance(fact, Limitation)]
        assert "eth0" in limitation.missing
        assert str(HOOK) in limitation.remedy
        nursery.cancel_scope.cancel()


@pytest.mark.lab
async def test_who_runs_with_the_hook_or_elsewhere_is_not_mentioned(host: Namespace, tmp_path: Path) -> None:
    processes, directory = tmp_path / "proc", tmp_path / "run"
    (processes / "thread-self" / "ns").mkdir(parents=True)
    (processes / "thread-self" / "ns" / "net").symlink_to("net:[1]")
    pretend(processes, 10, "udhcpc", "-i", "eth0")
    pretend(processes, 11, "udhcpc", "-i", "lo")
    (processes / "11" / "ns" / "net").unlink()
    (processes / "11" / "ns" / "net").symlink_to("net:[2]")
    run_hook(directory, "deconfig")
    told = Told()
    async with trio.open_nursery() as nursery:
        await nursery.start(UdhcpcSource([directory], processes).run, told.report)
        assert [fact for fact in told.history if isinstance(fact, Limitation)] == []
        nursery.cancel_scope.cancel()
