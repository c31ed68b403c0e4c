"""The one small interface that every origin of facts has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import trio
from attrs import frozen

from trimif._facts import Fact
from trimif._model import Value

Report: TypeAlias = Callable[[Sequence[Fact]], None]
"""Takes facts, in their order, and applies them at once as one step. Never blocks and never raises."""


@frozen(repr=False, eq=False)
class SourceStatistics(Value):
    """What a source has done so far.

    Attributes:
        name: which source.
        facts: how many it has reported.
        malformed: inputs that did not follow their format and were dropped.
        overruns: times that the kernel's buffer overflowed (netlink only).
        resynchronisations: times that everything was read afresh.
    """

    name: str
    facts: int = 0
    malformed: int = 0
    overruns: int = 0
    resynchronisations: int = 0


class Source(Protocol):
    """Someone who tells us about the host."""

    @property
    def name(self) -> str:
        """What the source is called in statistics and limitations."""
        ...

    async def run(self, report: Report, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report facts until cancelled; call ``task_status.started()`` once what is there now has been reported.

        What the host denies (a missing privilege, an unreadable directory) is reported as a `Limitation`, and the
        source waits or returns. What this program got wrong raises.
        """
        ...

    def statistics(self) -> SourceStatistics:
        """What it has done so far."""
        ...


@runtime_checkable
class Observer(Protocol):
    """A source that acts on what others report: one that asks a link, once it has an address."""

    def observe(self, facts: Sequence[Fact]) -> None:
        """Learn what a source reported, be it this one. Never blocks, never raises, and reports nothing by itself."""
        ...
