"""Leases that a DHCP client on this host writes into files: what dhclient's and pyroute2's have in common.

The files are read at the start and after each change. Within an interface and family the newest file that mentions
it counts, and a lease whose time has passed is not reported. Clients rewrite their files in place, block by block, so
for a moment a file may lack everything or its end: it is read only when it has been quiet for some milliseconds. A
file that can't be parsed counts with its last good content, until it can be again, or is gone.

Lease files tell times of the wall clock, mostly. They are kept as such and turned into deadlines in one place, when
reported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import trio
from attrs import evolve, field, frozen

from trimif._errors import MalformedInput
from trimif._facts import AllLeases, DHCPv6Lease, Fact, Lease, LeasedAddress, Limitation
from trimif._information import DelegatedPrefix, LeaseTimes
from trimif._sources._files import FileContent, FileFollower, Found, read_files
from trimif._sources._source import Report, SourceStatistics

__all__ = ["LeaseFileSource"]

logger = logging.getLogger(__name__)

AnyLease: TypeAlias = Lease | DHCPv6Lease
Parse: TypeAlias = Callable[[str, Callable[[datetime], float]], Sequence[AnyLease]]
Key: TypeAlias = tuple[str, type[AnyLease]]
"""A lease of each family for each interface."""


@frozen
class _Known:
    """What was last read from a file (or what was wrong with it), and the leases of its last good content."""

    content: bytes | str | None = None
    leases: Mapping[Key, AnyLease] = field(factory=dict)


_TIMES = ("renew_at", "rebind_at", "valid_until", "preferred_until")


class LeaseFileSource:
    """Reports the leases in some directories, as `AllLeases`, whenever they change.

    Args:
        name: of the client, as in `Origin.source`.
        directories: need not exist yet.
        patterns: of the names of lease files.
        parse: makes leases of a file's text.
        clock: that of the times in them; if not given, the wall clock.
    """

    def __init__(
        self,
        name: str,
        directories: Sequence[Path],
        patterns: Sequence[str],
        parse: Parse,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._directories = tuple(directories)
        self._patterns = tuple(patterns)
        self._parse = parse
        self._clock = clock
        self._files: dict[Path, _Known] = {}
        self._told: tuple[AnyLease, ...] | None = None
        self._refused: set[Path | None] = set()
        self._facts = 0
        self._malformed = 0

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        return self._name

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        return SourceStatistics(self._name, facts=self._facts, malformed=self._malformed)

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report the leases that are there, then each change, until cancelled.

        Without inotify they are read once; that is reported as a `Limitation`, and the source returns.
        """
        try:
            with FileFollower(self._directories, self._patterns) as follower:
                self._look(report)
                task_status.started()
                while True:
                    await follower.wait_settled()
                    self._look(report)
        except OSError as error:
            if self._told is None:
                self._look(report)
                task_status.started()
            remedy = "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"
            self._limit(report, None, f"changes of leases: {error.strerror}", remedy)
            await trio.lowlevel.checkpoint()

    def _look(self, report: Report) -> None:
        """Read all files, and report the leases if they are not those that were told last."""
        self._read(read_files(self._directories, self._patterns), report)
        leases = {key: lease for known in self._files.values() for key, lease in known.leases.items()}
        now = self._clock()
        valid = tuple(_current(lease, now) for lease in leases.values() if lease.valid_until > now)
        if valid != self._told:
            self._told = valid
            ahead = trio.current_time() - now
            self._report(report, [AllLeases(self._name, tuple(_later(lease, ahead) for lease in valid))])

    def _read(self, found: dict[Path, Found], report: Report) -> None:
        before, self._files = self._files, {}
        for path, item in found.items():
            known = before.get(path, _Known())
            if isinstance(item, OSError):
                self._limit(report, path, f"leases in {path}: {item.strerror}", f"let this user read {path}")
            else:
                content = item.octets if isinstance(item, FileContent) else str(item)
                known = known if content == known.content else _Known(content, self._parsed(path, content, known))
            self._files[path] = known

    def _parsed(self, path: Path, content: bytes | str, known: _Known) -> Mapping[Key, AnyLease]:
        """The leases of a new content, by interface; those known before if it is malformed."""
        try:
            if isinstance(content, str):
                raise MalformedInput(content)
            # What dhclient and pyroute2 write is ASCII; anything else is the parser's to refuse.
            text = content.decode("latin-1")
            leases = self._parse(text, datetime.timestamp) if text.strip() else ()
        except MalformedInput as fault:
            self._malformed += 1
            logger.debug("%s: %s is malformed: %s", self._name, path, fault)
            return known.leases
        return {(lease.interface, type(lease)): lease for lease in leases}

    def _limit(self, report: Report, path: Path | None, missing: str, remedy: str) -> None:
        """Say once what can't be seen."""
        if path not in self._refused:
            self._refused.add(path)
            self._report(report, [Limitation(self._name, missing, remedy)])

    def _report(self, report: Report, facts: Sequence[Fact]) -> None:
        self._facts += len(facts)
        report(facts)


def _current(lease: AnyLease, now: float) -> AnyLease:
    """The lease without those of its addresses that have expired before the others."""
    if isinstance(lease, Lease):
        return lease
    return evolve(lease, addresses=tuple(each for each in lease.addresses if each.valid_until > now))


def _later(lease: AnyLease, seconds: float) -> AnyLease:
    """The lease with all its times so much later: on Trio's clock instead of the wall clock."""
    data = tuple((what, _value_later(value, seconds)) for what, value in lease.data)
    if isinstance(lease, Lease):
        return evolve(lease, valid_until=lease.valid_until + seconds, data=data)
    addresses = _value_later(lease.addresses, seconds)
    return evolve(lease, valid_until=lease.valid_until + seconds, addresses=addresses, data=data)


def _value_later(value: Any, seconds: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_value_later(each, seconds) for each in value)
    if not isinstance(value, LeaseTimes | LeasedAddress | DelegatedPrefix):
        return value
    times = {name: getattr(value, name, None) for name in _TIMES}
    return evolve(value, **{name: time + seconds for name, time in times.items() if time is not None})
