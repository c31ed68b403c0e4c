"""The end of a lab: however it comes, nothing is left behind, and the machine never noticed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trimif.testing import _lab_topology
from trimif.testing._lab import Lab
from trimif.testing._lab_processes import LabError, poll_until

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_programs")]

SECONDS = 5.0  # How long an ended program may take.


def processes_in(namespaces: set[int]) -> set[int]:
    """The processes of this machine that are in one of the network namespaces, given by inode."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            inode = path.stat().st_ino
        except OSError:  # It has ended meanwhile, or is none of ours.
            continue
        if inode in namespaces:
            found.add(int(path.parts[2]))
    return found


def inodes(lab: Lab) -> set[int]:
    return {os.fstat(namespace.fileno()).st_ino for namespace in lab.namespaces.values()}


def what_the_machine_sees() -> object:
    """Everything that a lab could change by mistake, and what this process holds."""
    return (
        Path("/proc/self/mountinfo").read_text(),
        Path("/etc/resolv.conf").read_bytes(),
        os.stat("/etc/resolv.conf").st_mtime_ns,
        os.uname().nodename,
        os.stat("/proc/thread-self/ns/net").st_ino,
        socket.if_nameindex(),
        sorted(os.listdir("/proc/self/fd")),
        Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
    )


@contextmanager
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = what_the_machine_sees()
    yield
    assert what_the_machine_sees() == before
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_left(tmp_path, monkeypatch):
        with Lab() as lab:
            lab.start_dhclient("up-a")
            lab.start_pyroute2_dhcp("up-b")
            namespaces = inodes(lab)
            assert processes_in(namespaces) >= {daemon.pid for daemon in lab.daemons.values()}
        assert processes_in(namespaces) == set()
        lab.close()


def test_nothing_is_left_after_an_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_left(tmp_path, monkeypatch):
        lab = Lab()
        client = lab.start_dhclient("up-a", wait=False)
        namespaces = inodes(lab)
        with pytest.raises(KeyboardInterrupt), lab:
            raise KeyboardInterrupt
        assert not client.process.running()
        assert processes_in(namespaces) == set()


def test_nothing_is_left_if_it_does_not_come_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_lab_topology.PACKET_FILTERS, "vpn", "nonsense")
    with nothing_left(tmp_path, monkeypatch), pytest.raises(LabError, match="nonsense"):
        Lab()


PROGRAM = """
import json, os, time
from trimif.testing._lab import Lab
with Lab() as lab:
    lab.start_dhclient("up-a")
    print(json.dumps([os.fstat(each.fileno()).st_ino for each in lab.namespaces.values()]), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_program_that_is_ended(number: signal.Signals, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as program:
        try:
            assert program.stdout is not None
            namespaces = set(json.loads(program.stdout.readline()))
            assert processes_in(namespaces) != set()
            program.send_signal(number)
            program.wait(SECONDS)
        finally:
            program.kill()
    poll_until(lambda: processes_in(namespaces) == set(), "the end of its processes")
    assert number == signal.SIGKILL or list(tmp_path.iterdir()) == []
