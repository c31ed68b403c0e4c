"""The readers that are compared: each says "ready", reads until its standard input ends, and prints what it saw.

``_readers NAME timed|counted [ARGUMENTS]``. What it prints, as JSON: `seen`, when it was told each change, by number;
`cpu`, the seconds of CPU from "ready" to the end; `events`, how many of the kernel's messages it read; `told`, how many
messages came out of it; `overruns`, how many times the kernel had no room for more.
"""

from __future__ import annotations

import asyncio
import errno
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import trio
import trio.testing

from benchmarks._changes import number_of
from trimif._sources._netlink_socket import subscribe
from trimif._wire.netlink import attributes, messages
from trimif._wire.netlink_facts import decode

RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024
BATCH_DATAGRAMS = 256
IFA_CACHEINFO = 6


class Account:
    """What a reader has seen."""

    def __init__(self, timed: bool) -> None:
        self.timed = timed
        self.seen: dict[int, float] = {}
        self.events = self.told = self.overruns = 0
        self.cpu = 0.0

    def begin(self) -> None:
        """Everything is set up: from now on it counts."""
        self.cpu = -time.process_time()
        print("ready", flush=True)

    def note(self, seconds: Callable[[], float]) -> None:
        """The reader was told of a change just now; `seconds` finds out which lifetime that gave."""
        self.told += 1
        if self.timed:
            at = time.monotonic()
            self.seen[number_of(seconds())] = at

    def end(self) -> None:
        """The end of standard input."""
        self.cpu += time.process_time()


async def until_input_ends(account: Account, *readers: Callable[[], Awaitable[None]]) -> None:
    """Run readers until standard input ends."""
    async with trio.open_nursery() as nursery:
        for read in readers:
            nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        account.begin()
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        account.end()
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- trimif


async def read_trimif(account: Account, how: str = "receive", subscribers: str = "1") -> None:
    """From `open_mif` to `receive`, or `receive_batch`, in another task; one task for each subscriber."""
    import trimif

    async def receive(subscriber: trimif.Subscriber) -> None:
        async for message in subscriber:
            take(message)

    async def receive_batch(subscriber: trimif.Subscriber) -> None:
        while True:
            for message in await subscriber.receive_batch():
                take(message)

    def take(message: trimif.Announcement) -> None:
        if isinstance(message, trimif.AddressAnnouncement):
            account.note(lambda: message.valid_until - trio.current_time())

    read = receive if how == "receive" else receive_batch
    async with trimif.open_mif() as mif, AsyncExitStack() as stack:
        (domain,) = (
            domain
            for interface in mif.snapshot().interfaces
            for domain in interface.domains
            if domain.announcement.name == "up0/ipv4"
        )
        readers = []
        for _ in range(int(subscribers)):
            subscriber = await stack.enter_async_context(mif.open_subscriber(max_buffer_size=100_000))
            subscriber.post(trimif.AnnounceAddress(domain.announcement.domain, lifetimes=True))
            for _ in domain.addresses:
                subscriber.receive_nowait()
            readers.append(partial(read, subscriber))
        before = sum(source.facts for source in mif.statistics().sources)
        await until_input_ends(account, *readers)
        account.events = sum(source.facts for source in mif.statistics().sources) - before
        account.overruns = sum(source.overruns for source in mif.statistics().sources)


# ---------------------------------------------------------------- loops around a native socket on Trio


async def read_natively(account: Account, take: Callable[[bytes], None]) -> None:
    """A native socket on Trio, drained in batches as trimif does it, and `take` for each datagram."""
    with subscribe(RECEIVE_BUFFER_OCTETS) as opened:

        async def read() -> None:
            while True:
                await trio.lowlevel.wait_readable(opened)
                for _ in range(BATCH_DATAGRAMS):
                    try:
                        datagram = opened.recv(65536)
                    except BlockingIOError:
                        break
                    except OSError as error:
                        if error.errno != errno.ENOBUFS:
                            raise
                        account.overruns += 1
                    else:
                        account.events += 1
                        take(datagram)

        await until_input_ends(account, read)


async def read_bare(account: Account) -> None:
    """Nothing but the octets."""
    await read_natively(account, lambda datagram: account.note(partial(_lifetime_in, datagram)))


def _lifetime_in(datagram: bytes) -> float:
    (message,) = messages(datagram)
    return int.from_bytes(attributes(message.body, 8)[IFA_CACHEINFO][4:8], sys.byteorder)


async def read_decoder(account: Account) -> None:
    """trimif's own struct decoder: octets to facts."""

    def take(datagram: bytes) -> None:
        now = trio.current_time()
        for message in messages(datagram):
            for _fact in decode(message, now):
                account.note(partial(_lifetime_in, datagram))

    await read_natively(account, take)


async def read_pyroute2(account: Account) -> None:
    """pyroute2's parser alone: octets to its messages."""
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl

    marshal = MarshalRtnl()

    def take(datagram: bytes) -> None:
        for message in marshal.parse(datagram):
            account.note(partial(_lifetime_of, message))

    await read_natively(account, take)


def _lifetime_of(message: Any) -> float:
    return float(message.get("IFA_CACHEINFO")["ifa_valid"])


# ---------------------------------------------------------------- other programs


async def read_asyncio(account: Account) -> None:
    """pyroute2's AsyncIPRoute in an asyncio loop."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        await netlink.bind()
        ended = asyncio.Event()

        async def read() -> None:
            while True:
                async for message in netlink.get():
                    account.note(partial(_lifetime_of, message))

        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        task = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        account.begin()
        await ended.wait()
        account.end()
        task.cancel()


def read_monitor(account: Account) -> None:
    """``ip -ts monitor`` through a pipe."""
    with subprocess.Popen(
        ["ip", "-ts", "monitor", "address"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as monitor:
        time.sleep(0.2)  # until it listens; it says nothing when it does
        account.begin()
        for line in monitor.stdout or ():
            if b"valid_lft" in line:
                found = re.search(rb"valid_lft (\d+)sec", line)
                account.note(lambda: float(found[1]) if found else 0.0)  # noqa: B023, it is called at once
            if account.told == int(sys.argv[3]):
                break
        monitor.terminate()


def main() -> None:
    """See the module."""
    name, timed, *arguments = sys.argv[1:]
    account = Account(timed == "timed")
    read: Any = globals()[f"read_{name}"]
    if name == "monitor":
        read(account)
    elif name == "asyncio":
        asyncio.run(read(account))
    else:
        trio.run(read, account, *arguments)
    json.dump(vars(account), sys.stdout)


if __name__ == "__main__":
    main()
