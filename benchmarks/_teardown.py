"""An interface is deleted while a thousand lookups run in it.

Its name server never answers. Measured from the request to delete to the moment when the subscriber has the last words
of each lookup and the withdrawal of the interface, and no task of them is left. Beside it, what Trio itself takes to
cancel as many tasks that wait for as many sockets, and to close those.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks._host import host
from benchmarks._table import Line

ROUNDS, LOOKUPS = 3, 1_000
SERVER = "198.51.100.53"


def teardown() -> Iterator[Line]:
    """In milliseconds."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with host(
            "link add up0 type veth peer name peer0",
            "link set up0 up",
            "link set peer0 up",
            "address add 198.51.100.1/24 dev up0",
            f"neighbour add {SERVER} lladdr 02:00:00:00:00:53 dev up0",
        ) as one:
            told = one.run([sys.executable, "-m", "benchmarks._teardown"], stdout=subprocess.PIPE, check=True)
        result = json.loads(told.stdout)
        ours.append(result["ours"] * 1e3)
        theirs.append(result["theirs"] * 1e3)
    yield Line(
        f"teardown with {LOOKUPS} open lookups",
        statistics.median(ours),
        "cancel bare Trio tasks",
        statistics.median(theirs),
        unit="ms",
    )


async def tear_down() -> float:
    """Seconds from the deletion to the end of everything."""
    import trio
    import trio.testing

    import trimif

    static = [trimif.StaticConfiguration("up0", dns_servers=(SERVER,))]
    async with trimif.open_mif(static=static) as mif, mif.open_subscriber(max_outstanding=2 * LOOKUPS) as subscriber:
        (interface,) = (each for each in mif.snapshot().interfaces if each.announcement.name == "up0")
        domain = interface.domains[0].announcement.domain
        subscriber.post(trimif.AnnounceInterfaces())
        await subscriber.receive_batch()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for number in range(LOOKUPS):
            subscriber.post(trimif.TranslateName(domain, "www.example.org", number))
        await trio.testing.wait_all_tasks_blocked()
        began = time.monotonic()
        await trio.run_process(["ip", "link", "delete", "up0"])
        finished = 0
        async for message in subscriber:
            finished += isinstance(message, trimif.NameTranslationFinished)
            if message == trimif.NoInterfaceAnnouncement(interface.announcement.interface):
                break
        assert finished == LOOKUPS
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        return time.monotonic() - began


async def cancel_tasks() -> float:
    """Seconds to cancel bare tasks."""
    import trio
    import trio.testing

    async def wait() -> None:
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            await opened.bind(("127.0.0.1", 0))
            await opened.recv(1)

    async with trio.open_nursery() as nursery:
        for _ in range(LOOKUPS):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        began = time.monotonic()
        await trio.run_process(["ip", "link", "show", "lo"], stdout=subprocess.DEVNULL)
        nursery.cancel_scope.cancel()
    return time.monotonic() - began


if __name__ == "__main__":
    import trio

    print(json.dumps({"ours": trio.run(tear_down), "theirs": trio.run(cancel_tasks)}))
