"""``trimif demo`` as users run it: the race, its winner, what is left afterwards, and what it says when it may not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from .commands import TRIMIF, finish, marked_processes, run, start

pytestmark = pytest.mark.lab


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Whatever the demo leaves in the usual places for files is in `tmp_path`, and its processes bear a mark."""
    return {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "TRIMIF_TEST_MARK": uuid.uuid4().hex}


def assert_nothing_is_left(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + 5  # the DHCP client ends when it notices that the demo has ended
    while marked_processes(environment["TRIMIF_TEST_MARK"]) and time.monotonic() < deadline:
        os.sched_yield()
    assert marked_processes(environment["TRIMIF_TEST_MARK"]) == []
    assert list(Path(environment["TMPDIR"]).iterdir()) == []
    assert list(Path("/dev/shm").glob("*.lease.json")) == []
    assert "trimif" not in Path("/proc/self/mountinfo").read_text()


def test_the_nearest_network_wins(environment: dict[str, str]) -> None:
    began = time.monotonic()
    process = run("demo", environment=environment)
    assert (process.returncode, process.stderr) == (0, "")
    assert time.monotonic() - began < 15
    lines = process.stdout.splitlines()
    assert sum(line.endswith(("connected", "connected, the winner")) for line in lines) == 3
    assert "eth0/ipv4 wins." in lines
    assert "Its server says: host.example.com, as the cable network reaches it; you are 198.51.100.10" in lines
    assert any(line.startswith("await mif.open_tcp_stream") and " takes " in line for line in lines)
    assert_nothing_is_left(environment)


def test_the_chart_is_of_the_messages_of_figure_2(environment: dict[str, str]) -> None:
    chart = [line for line in run("demo", environment=environment).stdout.splitlines() if " ms |" in line]
    posted = [line for line in chart if line.endswith(">|")]
    received = [line for line in chart if "|<" in line]
    assert len(posted) + len(received) == len(chart)
    assert "Announce Interfaces" in chart[0]
    for domain, dns_server in (
        ("eth0/ipv4", "198.51.100.1"),
        ("eth0/ipv6", "2001:db8:a::53"),
        ("wa0/ipv6", "2001:db8:b::53"),
    ):
        assert any(f" PD {domain} " in line for line in received)
        assert any(f"DNS_SERVERS of {domain}" in line and dns_server in line for line in received)
        assert any(f"Translate Name host.example.com in {domain}" in line for line in posted)
        assert any(f"Name Translation Finished ({domain}): answered" in line for line in received)
        assert any("Connect to " in line and f"through {domain}" in line for line in posted)
        assert any(f"Connected ({domain} " in line for line in received)
    times = [float(line.split(" ms |")[0]) for line in chart]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("broken", "winner"),
    [
        (["eth0/ipv4"], "eth0/ipv6"),
        (["eth0"], "wa0/ipv6"),
        (["eth0/ipv6", "wa0"], "eth0/ipv4"),
    ],
)
def test_when_a_network_breaks_another_wins(environment: dict[str, str], broken: list[str], winner: str) -> None:
    process = run("demo", *(argument for name in broken for argument in ("--break", name)), environment=environment)
    assert (process.returncode, process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    assert f"{winner} wins." in lines
    for name in broken:
        assert any(line.startswith(f"{name}") and "is broken" in line for line in lines)
        assert any(line.strip().startswith(name) and line.endswith("no answer, stopped") for line in lines)
    (call,) = [line for line in lines if line.startswith("await mif.open_tcp_stream")]
    assert not any(call.endswith(f"through {name}.") for name in broken)


def test_when_all_break_nobody_wins(environment: dict[str, str]) -> None:
    process = run("demo", "--break", "eth0", "--break", "wa0", environment=environment)
    assert (process.returncode, process.stderr) == (1, "")
    assert "Nobody got through." in process.stdout
    assert_nothing_is_left(environment)


def test_a_network_that_is_none_is_an_error_that_names_the_choices() -> None:
    process = run("demo", "--break", "wlan9")
    assert process.returncode == 2
    for text in ("wlan9", "eth0/ipv4", "eth0/ipv6", "wa0/ipv6"):
        assert text in process.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.0, 0.15, 0.3, 0.5, 0.8])
def test_interrupted_it_leaves_nothing(environment: dict[str, str], number: signal.Signals, after: float) -> None:
    """At several moments after its first line: while networks, lease, domains, names and the race come."""
    process = start("demo", "--break", "eth0", "--break", "wa0", environment=environment)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("A host with two interfaces")
    time.sleep(after)
    process.send_signal(number)
    done = finish(process)
    assert (done.returncode, done.stderr) == (128 + number, "")
    assert_nothing_is_left(environment)


def test_killed_it_leaves_nothing(environment: dict[str, str]) -> None:
    process = start("demo", "--break", "eth0", "--break", "wa0", environment=environment)
    assert process.stdout is not None
    while "The race" not in process.stdout.readline():
        pass
    assert len(marked_processes(environment["TRIMIF_TEST_MARK"])) == 2  # with its DHCP client
    process.kill()
    finish(process)
    assert_nothing_is_left(environment)


# ---------------------------------------------------------------- privilege

ORDINARY_USER = """
import os, sys
from pathlib import Path
from trimif.testing._namespaces import CLONE_NEWUSER, unshare

user, group = os.geteuid(), os.getegid()
unshare(CLONE_NEWUSER)
Path("/proc/sys/user/max_user_namespaces").write_text(sys.argv.pop(1))
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {user} 1")
Path("/proc/self/gid_map").write_text(f"1000 {group} 1")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # who is not root loses all capabilities here
"""


def run_as_ordinary_user(limit: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``trimif`` as user 1000 of a namespace in which users may make so many user namespaces themselves."""
    command = [sys.executable, "-c", ORDINARY_USER, str(limit), *TRIMIF[1:], *arguments]
    return finish(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))


def test_an_ordinary_user_sees_it_too() -> None:
    process = run_as_ordinary_user(10, "demo")
    assert (process.returncode, process.stderr) == (0, "")
    assert "eth0/ipv4 wins." in process.stdout


def test_who_may_not_is_told_the_remedy() -> None:
    process = run_as_ordinary_user(0, "demo")
    assert (process.returncode, process.stdout) == (1, "")
    assert "this user may not make any" in process.stderr
    assert "sudo trimif demo" in process.stderr
    assert "user.max_user_namespaces" in process.stderr
    assert "Traceback" not in process.stderr
