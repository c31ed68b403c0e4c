"""The real commands on a real host: the demo's, with two interfaces and three provisioning domains."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from trimif._facts import AllLinks
from trimif._messages import InterfaceAnnouncement
from trimif.cli._demo._networks import DOMAINS, HOST_NAME, open_networks
from trimif.testing import FactsLine, MessageLine, dump_line, load_line, replay

from .commands import finish, run_beside, start

pytestmark = pytest.mark.lab


@pytest.fixture
async def leases(tmp_path: Path) -> AsyncIterator[str]:
    """The demo's networks are up, this thread is in their host; the directory with its lease."""
    async with open_networks(frozenset({"wa0/ipv6"}), tmp_path):
        await wait_for_lease(tmp_path / "eth0.lease.json")
        yield str(tmp_path)


async def wait_for_lease(path: Path) -> None:
    with trio.fail_after(20):
        await trio.lowlevel.checkpoint()
        while not path.exists():  # noqa: ASYNC110, ASYNC240  # another program makes the file
            await trio.sleep(0.02)


async def show(leases: str) -> dict[str, Any]:
    """What ``trimif show --json`` says, once the lease's address is there: the client sets it after writing."""
    with trio.fail_after(20):
        while True:
            process = await run_beside("show", "--json", "--wait", "10", "--leases", leases)
            assert (process.returncode, process.stderr) == (0, "")
            told: dict[str, Any] = json.loads(process.stdout)
            if any(domain["name"] == "eth0/ipv4" for domain in domains(told)):
                return told


def domains(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [domain for interface in told["interfaces"] for domain in interface["domains"]]


async def test_show_tells_programs_what_the_networks_told(leases: str) -> None:
    told = await show(leases)
    by_name = {domain["name"]: domain for domain in domains(told)}
    assert set(DOMAINS) <= set(by_name)
    (lease,) = by_name["eth0/ipv4"]["elements"]
    assert (lease["type"], lease["source"], lease["server"]) == ("dhcpv4", "pyroute2", "198.51.100.1")
    assert lease["data"]["dns_servers"] == ["198.51.100.1"]
    assert lease["data"]["search_domains"] == ["example.com"]
    assert {"destination": "0.0.0.0/0", "gateway": "198.51.100.1"} in lease["data"]["routes"]
    assert 3500 < lease["data"]["valid_until"] <= 3600
    (advertisement,) = by_name["wa0/ipv6"]["elements"]
    assert (advertisement["type"], advertisement["server"]) == ("ra", "fe80::1")
    assert advertisement["data"]["dns_servers"] == ["2001:db8:b::53"]
    (address,) = by_name["wa0/ipv6"]["addresses"]
    assert address["address"].startswith("2001:db8:2:")
    assert 3500 < address["valid"] <= 3600
    assert told["limitations"] == []


async def test_show_tells_people(leases: str) -> None:
    await show(leases)
    process = await run_beside("show", "--wait", "10", "--leases", leases)
    assert (process.returncode, process.stderr) == (0, "")
    for text in ("eth0: virtual, up, MTU 1500", "DHCPv4, pyroute2 from 198.51.100.1", "DNS servers: 2001:db8:b::53"):
        assert text in process.stdout
    assert "routes: 0.0.0.0/0 via 198.51.100.1" in process.stdout


async def test_without_privilege_it_works_and_says_once_what_it_cannot_see(leases: str) -> None:
    done = await run_beside("show", "--wait", "0", before=["setpriv", "--bounding-set=-all"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "wa0/ipv6" in done.stdout
    assert done.stdout.count("router advertisements other than what the kernel passes on") == 1
    assert "Remedy: give the program CAP_NET_RAW" in done.stdout


async def test_resolve_asks_each_network(leases: str) -> None:
    await show(leases)
    process = await run_beside("resolve", HOST_NAME, "--wait", "10", "--leases", leases)
    assert (process.returncode, process.stderr) == (0, "")
    said = [(line.split()[0], line.split()[3]) for line in process.stdout.splitlines()]
    assert sorted(said) == [
        ("eth0/ipv4", "198.51.100.1"),
        ("eth0/ipv6", "2001:db8:ff::80"),
        ("eth0/ipv6", "203.0.113.80"),
        ("wa0/ipv6", "2001:db8:ff::80"),
    ]


async def test_resolve_says_who_was_asked(leases: str) -> None:
    arguments = ("--domain", "wa0/ipv6", "--servers", "--system", "dns", "--wait", "10")
    process = await run_beside("resolve", HOST_NAME, *arguments)
    assert (process.returncode, process.stderr) == (0, "")
    kinds = {line.split(",")[1].split()[1].rstrip(":") for line in process.stdout.splitlines() if "dns server" in line}
    assert kinds == {"A", "AAAA"}
    assert "hosts" not in process.stdout


async def test_resolve_in_one_domain_and_what_nobody_knows(leases: str) -> None:
    one = await run_beside("resolve", HOST_NAME, "--domain", "wa0/ipv6", "--wait", "10")
    assert (one.returncode, len(one.stdout.splitlines())) == (0, 1)
    assert "2001:db8:ff::80" in one.stdout
    nobody = await run_beside("resolve", "other.example.com", "--domain", "wa0/ipv6", "--wait", "10")
    assert (nobody.returncode, nobody.stderr) == (1, "")
    assert nobody.stdout.split()[0] == "wa0/ipv6"
    assert nobody.stdout.rstrip().endswith("no such name")


async def test_connect_tries_each_network(leases: str) -> None:
    await show(leases)
    process = await run_beside("connect", HOST_NAME, "80", "--limit", "0.5", "--wait", "10", "--leases", leases)
    assert (process.returncode, process.stderr) == (0, "")
    attempts = {line.split("  ")[0].strip(): line for line in process.stdout.splitlines() if " to " in line}
    assert "connected from 198.51.100.10" in attempts["eth0/ipv4 to 198.51.100.1"]
    assert "connected from 2001:db8:1:" in attempts["eth0/ipv6 to 2001:db8:ff::80"]
    assert "no answer, given up" in attempts["wa0/ipv6 to 2001:db8:ff::80"]  # the network that the fixture broke


async def test_connect_says_when_nobody_got_through(leases: str) -> None:
    process = await run_beside("connect", "2001:db8:ff::80", "81", "--domain", "eth0/ipv6", "--wait", "10")
    assert (process.returncode, process.stderr) == (1, "")
    assert "refused" in process.stdout


@pytest.mark.parametrize("command", [("resolve", "a.example"), ("connect", "a.example", "80")])
async def test_an_unknown_domain_is_an_error_that_names_those_there_are(leases: str, command: tuple[str, ...]) -> None:
    process = await run_beside(*command, "--domain", "wlan9/ipv4\x1b[2J", "--wait", "0.3")
    assert (process.returncode, process.stdout) == (1, "")
    assert "no provisioning domain 'wlan9/ipv4\\x1b[2J'" in process.stderr
    assert "wa0/ipv6" in process.stderr


# ---------------------------------------------------------------- watch


async def read_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    read = process.stdout.readline
    with trio.fail_after(20):
        await trio.lowlevel.checkpoint()
        return [await trio.to_thread.run_sync(read) for _ in range(count)]


async def test_watch_tells_each_message_until_interrupted(leases: str) -> None:
    process = start("watch")
    lines = await read_lines(process, 3)
    assert sum("Interface " in line for line in lines) == 3
    process.send_signal(signal.SIGINT)
    done = await trio.to_thread.run_sync(finish, process)
    assert (done.returncode, done.stderr) == (130, "")


async def test_watched_lines_can_be_read_again(leases: str) -> None:
    process = start("watch", "--json", "--leases", leases)
    texts = [line.rstrip("\n") for line in await read_lines(process, 12)]
    process.send_signal(signal.SIGTERM)
    done = await trio.to_thread.run_sync(finish, process)
    assert (done.returncode, done.stderr) == (143, "")
    lines = [load_line(text) for text in texts]
    assert [dump_line(line) for line in lines] == texts
    steps = [line for line in lines if isinstance(line, FactsLine)]
    facts = [fact for step in steps for fact in step.facts]
    (links,) = [fact.links for fact in facts if isinstance(fact, AllLinks)]
    assert {link.name for link in links} == {"lo", "eth0", "wa0"}
    messages = [line.message for line in lines if isinstance(line, MessageLine)]
    assert [m.name for m in messages if isinstance(m, InterfaceAnnouncement)] == ["lo", "eth0", "wa0"]
    replayed = replay(texts)
    assert [line for line in replayed.differences() if line.startswith("- ")] == []  # what was cut off may be more
    assert [each.announcement.name for each in replayed.snapshot.interfaces] == ["lo", "eth0", "wa0"]


@pytest.mark.parametrize("arguments", [("watch",), ("watch", "--json"), ("show",)])
async def test_a_closed_pipe_ends_it_quietly(leases: str, arguments: tuple[str, ...]) -> None:
    """As in ``trimif watch | head -1``, also where there is no further news to write."""
    process = start(*arguments)
    assert process.stdout is not None
    await read_lines(process, 1)
    process.stdout.close()
    with trio.fail_after(20):
        assert await trio.to_thread.run_sync(process.wait) in (0, 141)
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
