"""Leases of udhcpc, BusyBox's DHCP client: what its script was told, written down by a hook that trimif brings along.

udhcpc itself leaves nothing behind. It runs one script at every event, with all that it knows in the environment. To
let trimif see that, a person puts the hook in front of that script::

    udhcpc -i eth0 -s /usr/local/lib/udhcpc-hook.sh -O search -O mtu -O ntpsrv -O staticroutes -O 114 -O 162

The hook is the file ``HOOK`` in this package: copy it to a place that stays, it must be executable. It writes
``/run/trimif/udhcpc/eth0.lease`` and then runs Debian's, Alpine's or OpenWrt's default script, or the one that the
environment variable ``TRIMIF_UDHCPC_SCRIPT`` of udhcpc names. With Debian's ifupdown udhcpc's options belong into
``/etc/network/interfaces``, ``udhcpc_opts -s /usr/local/lib/udhcpc-hook.sh``. Where a script of one's own is in use
already, it can call the hook instead: ``TRIMIF_UDHCPC_SCRIPT= /usr/local/lib/udhcpc-hook.sh "$@"``.

udhcpc asks servers only for the options that it was told to (``-O``), by name or number.

A lease that a killed udhcpc has left in the file counts until it ends: the address, which udhcpc sets for ever, stays
as well. An udhcpc without the hook that runs when the source is started is reported as a `Limitation`. One that is
started later is not noticed: nothing tells, and looking at every process again and again costs too much.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

import trio

from trimif._facts import Lease
from trimif._sources._leases import LeaseFileSource
from trimif._sources._source import Report
from trimif._wire.udhcpc import parse_lease

__all__ = ["HOOK", "UdhcpcSource"]

HOOK = Path(__file__).with_name("udhcpc-hook.sh")
"""The hook; ``python -c "from trimif._sources.udhcpc import HOOK; print(HOOK)"`` tells where."""
DIRECTORIES = (Path("/run/trimif/udhcpc"),)
PROCESSES = Path("/proc")
DEFAULT_INTERFACE = "eth0"


class UdhcpcSource(LeaseFileSource):
    """Reports udhcpc's DHCPv4 leases, where the hook wrote them.

    Args:
        directories: where it does; need not exist yet.
        processes: where the running programs are to be seen.
    """

    def __init__(self, directories: Sequence[Path] = DIRECTORIES, processes: Path = PROCESSES) -> None:
        since_boot = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        super().__init__("udhcpc", directories, ("*.lease",), _parse, clock=since_boot)
        self._processes = processes

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report the leases that are there, then each change, until cancelled; first, who runs without the hook.

        Without inotify they are read once; that is reported as a `Limitation`, and the source returns.
        """
        for interface in _clients(self._processes):
            if not any((directory / f"{interface}.lease").exists() for directory in self._directories):
                missing = f"the lease of udhcpc on {interface}: it runs without trimif's hook"
                self._limit(report, self._processes / interface, missing, f"run udhcpc with -s {HOOK}")
        await super().run(report, task_status=task_status)


def _parse(text: str, _deadline: Callable[[datetime], float]) -> Sequence[Lease]:
    lease = parse_lease(text, float)
    return () if lease is None else (lease,)


def _clients(processes: Path) -> Iterator[str]:
    """The interfaces of the host, in this program's network namespace as far as one can see, that have an udhcpc."""
    with suppress(OSError):
        here = os.readlink(processes / "thread-self/ns/net")
        interfaces = {name for _, name in socket.if_nameindex()}
        for name in filter(str.isdecimal, os.listdir(processes)):
            process = processes / name
            if _is_udhcpc(process) and _namespace(process, here) == here:
                yield from {_interface(process)} & interfaces


def _is_udhcpc(process: Path) -> bool:
    try:
        return (process / "comm").read_bytes() == b"udhcpc\n"
    except OSError:  # it has ended
        return False


def _namespace(process: Path, default: str) -> str:
    try:
        return os.readlink(process / "ns/net")
    except OSError:  # somebody else's
        return default


def _interface(process: Path) -> str:
    """``-i eth0``, ``-ieth0``, ``-fi eth0`` or ``--interface=eth0`` (or ``--interface eth0``)."""
    try:
        words = (process / "cmdline").read_bytes().decode("latin-1").split("\0")
    except OSError:
        return DEFAULT_INTERFACE
    for word, following in pairwise(words[1:]):
        name, equals, value = word.partition("=")
        if name == "--interface":
            return value if equals else following
        if word.startswith("-i") and len(word) > 2:
            return word[2:]
        if word.startswith("-") and not word.startswith("--") and word.endswith("i"):
            return following
    return DEFAULT_INTERFACE
