"""Event latency, kernel to subscriber, beside ``ip -ts monitor``, in one run.

An address on a veth in a namespace of its own gets a new lifetime every millisecond or so. Each change is timed from
just before the request that makes it: to the moment when a task has received the `AddressAnnouncement` (from
`trimif.open_mif` through a subscriber, all layers), and to the moment when a program that reads the pipe of
``ip -ts monitor address`` has the line. For comparison, the time stamp that ``ip`` itself prints into the line, before
it formats and writes it. Ratios within one run are what counts; the machine's noise is in both.

Run as root: ``python benchmarks/latency.py [CHANGES]``
"""

from __future__ import annotations

import datetime
import math
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trio

import trimif
from trimif.testing._namespaces import Namespace

ADDRESS = "198.51.100.1"
FIRST_SECONDS, STEP_SECONDS = 100_000, 10  # each change moves the lifetime by more than the 2 s that count as none
RTM_NEWADDR, NLM_F_REQUEST, NLM_F_REPLACE = 20, 1, 0x100
IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO = 1, 2, 6


def change_request(index: int, number: int) -> bytes:
    """RTM_NEWADDR that gives the address its lifetime number `number`."""
    octets = socket.inet_aton(ADDRESS)
    seconds = FIRST_SECONDS + STEP_SECONDS * number
    attributes = b"".join(struct.pack("HH4s", 8, kind, octets) for kind in (IFA_ADDRESS, IFA_LOCAL))
    attributes += struct.pack("HHIIII", 20, IFA_CACHEINFO, seconds, seconds, 0, 0)
    body = struct.pack("BBBBI", socket.AF_INET, 24, 0, 0, index) + attributes
    return struct.pack("IHHII", 16 + len(body), RTM_NEWADDR, NLM_F_REQUEST | NLM_F_REPLACE, number, 0) + body


async def measure(changes: int) -> tuple[dict[int, float], dict[int, float]]:
    """When each change was asked for, and when its announcement was received."""
    asked: dict[int, float] = {}
    received: dict[int, float] = {}
    index = socket.if_nametoindex("up0")
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)

    async def receive(subscriber: trimif.Subscriber) -> None:
        async for message in subscriber:
            if isinstance(message, trimif.AddressAnnouncement) and message.valid_until < math.inf:
                number = round((message.valid_until - trio.current_time() - FIRST_SECONDS) / STEP_SECONDS)
                received[number] = time.time()

    async with trimif.open_mif() as mif, mif.open_subscriber() as subscriber:
        (domain,) = (
            each.announcement.domain
            for interface in mif.snapshot().interfaces
            for each in interface.domains
            if each.announcement.name == "up0/ipv4"
        )
        subscriber.post(trimif.AnnounceAddress(domain, lifetimes=True))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, subscriber)
            for number in range(1, changes + 1):
                await trio.sleep(0.001)
                asked[number] = time.time()
                netlink.send(change_request(index, number))
            await trio.sleep(0.2)
            nursery.cancel_scope.cancel()
    netlink.close()
    return asked, received


READER = "import sys, time\nfor line in sys.stdin: print(time.time(), line, end='')"
"""Reads the pipe of ``ip``, and writes down when each line came."""


def monitored(text: str) -> tuple[dict[int, float], dict[int, float]]:
    """When each line with a lifetime was read, and what time ``ip`` had put before it, by the number of the change."""
    read, stamped = {}, {}
    stamp = ""
    for line in text.splitlines():
        at, _, rest = line.partition(" ")
        stamp = found[1] if (found := re.search(r"\[(\d[\d\-T:.]+)\]", rest)) else stamp
        if lifetime := re.search(r"valid_lft (\d+)sec", rest):
            number = round((int(lifetime[1]) - FIRST_SECONDS) / STEP_SECONDS)
            read[number] = float(at)
            stamped[number] = datetime.datetime.fromisoformat(stamp).timestamp()
    return read, stamped


def summary(name: str, asked: dict[int, float], seen: dict[int, float]) -> tuple[float, float]:
    """Print and return p50 and p99 in microseconds."""
    late = sorted((seen[number] - asked[number]) * 1e6 for number in asked.keys() & seen.keys())
    p50, p99 = statistics.median(late), late[int(len(late) * 0.99)]
    print(f"{name:28} {len(late):6} seen   p50 {p50:7.0f} us   p99 {p99:7.0f} us")
    return p50, p99


def main() -> None:
    """Make the host, measure, print the table."""
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    host = Namespace("host")
    for command in (
        "ip link set lo up",
        "ip link add up0 type veth peer name peer0",
        "ip link set up0 up",
        "ip link set peer0 up",
        f"ip address add {ADDRESS}/24 dev up0",
    ):
        host.run(command.split(), check=True)
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "monitor")
        with log.open("wb") as output:
            monitor = host.popen(["ip", "-ts", "monitor", "address"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            reader = host.popen([sys.executable, "-c", READER], stdin=monitor.stdout, stdout=output)
        time.sleep(0.3)  # until it listens; it says nothing when it does
        with host.entered():
            asked, received = trio.run(measure, changes)
        monitor.terminate()
        monitor.wait()
        reader.wait()
        read, stamped = monitored(log.read_text())
    ours, _ = summary("trimif, to the subscriber", asked, received)
    theirs, _ = summary("ip -ts monitor, its reader", asked, read)
    summary("ip -ts monitor, its stamp", asked, stamped)
    print(f"ratio of the p50: {ours / theirs:.2f}")
    host.close()


if __name__ == "__main__":
    main()
