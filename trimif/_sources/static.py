"""What a person told: static configurations, handed to the core as they are."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trimif._facts import StaticConfiguration
from trimif._sources._source import Report, SourceStatistics

__all__ = ["StaticSource"]


class StaticSource:
    """Reports the configurations that :func:`open_mif` was given, once."""

    def __init__(self, configurations: Sequence[StaticConfiguration]) -> None:
        self._configurations = tuple(configurations)
        self._facts = 0

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        return "static"

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report the configurations, say that it is done, and return."""
        report(self._configurations)
        self._facts = len(self._configurations)
        task_status.started()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        return SourceStatistics(self.name, facts=self._facts)
