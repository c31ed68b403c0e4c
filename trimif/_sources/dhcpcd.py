"""Leases and router advertisements of dhcpcd, version 9 or later: what it says on its socket, else its lease files.

dhcpcd has a socket that everybody may connect to (``/run/dhcpcd/unpriv.sock``; ``dhcpcd eth0`` has one of its own,
``eth0.unpriv.sock``, or ``eth0-4.unpriv.sock``). On each of them this source first asks to be told all news, and then,
once, for all that there is now, so nothing is missed in between. An answer may never come, as dhcpcd serves one client
at a time: after some attempts that is reported as a `Limitation`, and what is news is heard all the same.

Sockets are found as they appear. A connection that ends is tried again as long as its socket is there, at growing
intervals: a dhcpcd that was killed leaves it behind, and the next one replaces it.

Where no dhcpcd answers, the lease files tell (`_dhcpcd_files`), to those who may read them.

dhcpcd listens to routers itself, and switches that off in the kernel (``accept_ra``), which then tells nobody what
they advertise: without a raw socket of trimif's own, what dhcpcd says is all there is. Where there is one, both tell
the same.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import count
from pathlib import Path

import trio

from trimif._errors import MalformedInput
from trimif._facts import AllLeases, Fact, Limitation
from trimif._sources._dhcpcd_files import PATTERNS, LeaseFiles
from trimif._sources._dhcpcd_instance import Instance
from trimif._sources._dhcpcd_memory import AnyLease, Memory
from trimif._sources._dhcpcd_socket import covers
from trimif._sources._files import FileFollower
from trimif._sources._source import Report, SourceStatistics
from trimif._wire.dhcpcd import DHCP, DHCPV6, LINK, RA, Statement, parse_statement

__all__ = ["DhcpcdSource"]

NAME = "dhcpcd"
RUN_DIRECTORIES = (Path("/run/dhcpcd"), Path("/var/run/dhcpcd"))
"""The second is where older systems have it; mostly it is the first, and then it is followed once."""
LEASE_DIRECTORIES = (Path("/var/lib/dhcpcd"), Path("/var/db/dhcpcd"))
SOCKETS = ("unpriv.sock", "*.unpriv.sock")

FIRST_ANSWERS_SECONDS = 2.0
"""The source has started after so long, be there answers or not."""

logger = logging.getLogger(__name__)


class DhcpcdSource:
    """Reports dhcpcd's DHCPv4 and DHCPv6 leases, as `AllLeases`, and each `RouterAdvertisement` that it heard.

    Args:
        run_directories: where the sockets are; need not exist yet.
        lease_directories: where the lease files are; need not exist yet.
    """

    def __init__(
        self, run_directories: Sequence[Path] = RUN_DIRECTORIES, lease_directories: Sequence[Path] = LEASE_DIRECTORIES
    ) -> None:
        self._run_directories = tuple(run_directories)
        self._directories = (*run_directories, *lease_directories)
        self._files = LeaseFiles(lease_directories)
        self._memory = Memory()
        self._instances: dict[Path, Instance] = {}
        self._connections = count()
        self._answered = False
        self._changed = trio.Event()
        self._report: Report = _nobody
        self._told: tuple[AnyLease, ...] | None = None
        self._refused: set[object] = set()
        self._facts = self._malformed = self._resynchronisations = 0

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        return NAME

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        malformed = self._malformed + self._files.malformed
        return SourceStatistics(NAME, self._facts, malformed, resynchronisations=self._resynchronisations)

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report what there is now, then each change, until cancelled.

        Without inotify only what is there at the start is followed; that is reported as a `Limitation`.
        """
        self._report = report
        async with trio.open_nursery() as nursery:
            try:
                with FileFollower(self._directories, (*SOCKETS, *PATTERNS)) as follower:
                    await self._look_first(nursery)
                    task_status.started()
                    while True:
                        await follower.wait_changed()
                        self._look(nursery)
            except OSError as error:
                if self._told is None:
                    await self._look_first(nursery)
                    task_status.started()
                remedy = "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"
                self._limit(None, f"whether dhcpcd is started later: {error.strerror}", remedy)

    async def _look_first(self, nursery: trio.Nursery) -> None:
        self._look(nursery)
        with trio.move_on_after(FIRST_ANSWERS_SECONDS):
            for instance in list(self._instances.values()):
                await instance.settled.wait()
        self._look(nursery)

    def _look(self, nursery: trio.Nursery) -> None:
        """Something may have changed: follow sockets that are new, and read the files as long as nobody answers."""
        self._changed.set()
        self._changed = trio.Event()
        for path in _sockets(self._run_directories):
            if path not in self._instances:
                self._instances[path] = Instance(path, self, self._connections)
                nursery.start_soon(self._follow, path)
        waiting = any(not instance.settled.is_set() for instance in self._instances.values())
        if not (self._answered or waiting):
            self._memory.hold_files(self._files.leases())
            for path, error in self._files.refused.items():
                self._limit(path, f"leases in {path}: {error.strerror}", f"start dhcpcd, or let this user read {path}")
        self._memory.forget(lambda *of: self._files.received(*of) is not None)
        self._tell([])

    async def _follow(self, path: Path) -> None:
        await self._instances[path].run(lambda: self._changed)
        del self._instances[path]

    # ------------------------------------------------------------ what an instance says

    def hear(self, connection: int, blocks: Sequence[bytes], *, news: bool) -> None:
        """Report what blocks of an instance say."""
        hold = self._memory.hold_news if news else self._memory.hold_answer
        now = trio.current_time()
        facts: list[Fact] = []
        for octets in blocks:
            try:
                facts += self._understand(parse_statement(octets), partial(hold, connection=connection, now=now), now)
            except MalformedInput as fault:
                self.count_malformed(fault)
        self._tell(facts)

    def _understand(self, statement: Statement, hold: Callable[..., None], now: float) -> Iterator[Fact]:
        if statement.protocol in (DHCP, DHCPV6):
            of = statement.interface, statement.protocol
            hold(statement, received=self._files.received(*of), filed=self._files.leases().get(of))
        elif statement.protocol == LINK:
            self._memory.hold_link(statement)
        elif statement.protocol == RA:
            try:
                index = socket.if_nametoindex(statement.interface)
            except OSError:  # gone meanwhile
                return
            yield from self._memory.hold_routers(statement, index, now)

    def know_all(self, path: Path, connection: int, *, same: bool) -> None:
        """An instance has said all that it knows."""
        self._answered = True
        self._resynchronisations += 1
        self._memory.succeed(partial(covers, path), connection, trio.current_time(), same=same)
        self._tell([])

    def miss(self, path: Path, reason: str) -> None:
        """An instance does not tell all that it knows."""
        self._limit(path, f"what dhcpcd knew before trimif was started ({path}: {reason})", "restart dhcpcd")

    def count_malformed(self, fault: MalformedInput) -> None:
        """Something came that is no block."""
        self._malformed += 1
        logger.debug("dhcpcd: %s", fault)

    # ------------------------------------------------------------ reporting

    def _tell(self, facts: list[Fact]) -> None:
        """Report these facts, and the leases if they are not those that were told last."""
        leases = self._memory.leases(trio.current_time())
        if leases != self._told:
            self._told = leases
            facts = [*facts, AllLeases(NAME, leases)]
        if facts:
            self._facts += len(facts)
            self._report(facts)

    def _limit(self, what: Path | None, missing: str, remedy: str) -> None:
        """Say once what can't be seen."""
        if what not in self._refused:
            self._refused.add(what)
            self._tell([Limitation(NAME, missing, remedy)])


def _sockets(directories: Sequence[Path]) -> list[Path]:
    """The sockets that there are, each once: a directory may be a link to another."""
    found: dict[str, Path] = {}
    for directory in directories:
        with suppress(OSError):
            for name in os.listdir(directory):
                path = directory / name
                if any(fnmatchcase(name, pattern) for pattern in SOCKETS) and stat.S_ISSOCK(path.stat().st_mode):
                    found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _nobody(_facts: Sequence[Fact]) -> None:
    """Takes facts before the source runs: there are none."""
