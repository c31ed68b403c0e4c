"""What the sources of managers on the host have in common: look, report what is new, wait for a sign, look again.

A manager is systemd-networkd, systemd-resolved or resolvconf. A sign is a change of a file in its directories under
``/run``; it says only that something may have changed. Where no manager is there are no directories, and nothing is
reported; the directories above are followed, so that one which comes later is noticed.
"""

from __future__ import annotations

import abc
import math
import socket
from collections.abc import Sequence
from pathlib import Path

import trio

from trimif._facts import Fact, Limitation
from trimif._sources._files import FileFollower
from trimif._sources._source import Report, SourceStatistics

__all__ = ["ManagerSource", "interface_name"]


def interface_name(index: int) -> str | None:
    """The name of the interface of that index; None if there is none any more."""
    try:
        return socket.if_indextoname(index)
    except (OSError, OverflowError):
        return None


class ManagerSource(abc.ABC):
    """Looks at a manager whenever there is a sign; derived classes know how.

    Args:
        name: of the manager, as in `Origin.source`.
        directories: in which files change with its state; need not exist yet.
        signs: patterns of their names.
    """

    def __init__(self, name: str, directories: Sequence[Path], signs: Sequence[str]) -> None:
        self._name = name
        self._directories = tuple(directories)
        self._signs = tuple(signs)
        self._told: dict[type[Fact], Fact] = {}
        self._limited: set[str] = set()
        self._look_again_at = math.inf
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
        """Report what there is, then each change, until cancelled.

        Without inotify the manager is looked at once; that is reported as a `Limitation`, and the source returns.
        """
        try:
            follower = FileFollower(self._directories, self._signs)
        except OSError as error:
            await self._look(report)
            task_status.started()
            self._report(report, [self._no_inotify(error)])
            return
        with follower:
            await self._look(report)
            task_status.started()
            while await self._wait_sign(follower, report):
                await self._look(report)

    async def _wait_sign(self, follower: FileFollower, report: Report) -> bool:
        """Wait for a sign, or the time to look again. False if there can't be any more signs."""
        try:
            with trio.move_on_at(self._look_again_at):
                await follower.wait_settled()
        except OSError as error:
            self._report(report, [self._no_inotify(error)])
            await trio.lowlevel.checkpoint()
            return False
        return True

    def _no_inotify(self, error: OSError) -> Limitation:
        remedy = "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"
        return Limitation(self._name, f"changes: {error.strerror}", remedy)

    @abc.abstractmethod
    async def _look(self, report: Report) -> None:
        """Find out what there is now, and tell it. Has a checkpoint."""

    # ---------------------------------------------------------------- for derived classes

    def _tell(self, report: Report, fact: Fact) -> None:
        """Report a fact that says all of its type, if it isn't the one that was told last."""
        if self._told.get(type(fact)) != fact:
            self._told[type(fact)] = fact
            self._report(report, [fact])

    def _limit(self, report: Report, limitation: Limitation) -> None:
        """Say once what can't be seen."""
        if limitation.missing not in self._limited:
            self._limited.add(limitation.missing)
            self._report(report, [limitation])

    def _report(self, report: Report, facts: Sequence[Fact]) -> None:
        self._facts += len(facts)
        report(facts)
