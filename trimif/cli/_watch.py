"""``trimif watch``: every announcement as it comes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import trio

import trimif
from trimif import AnnounceInterfaces
from trimif._facts import Fact
from trimif.cli._domains import LeaseDirectories, describe_limitations, subscribe_further
from trimif.cli._run import emit, run
from trimif.testing._lines import FactsLine, MessageLine, dump_line
from trimif.testing._words import Describer

__all__ = ["watch"]


def watch(*, json: bool = False, leases: LeaseDirectories = ()) -> int:
    """Watch networks come, change and go: every message of the MIF API, until Ctrl-C.

    For example `trimif watch`, or `trimif watch --json > history.jsonl`.

    Args:
        json: One JSON object a line: each message, and before it the facts about the host that led to it, with
            nothing left out. A bug report with such a file can be replayed in a test. Times are seconds on the
            clock of this run.
    """
    return run(lambda: _watch_as_json(leases) if json else _watch(leases))


async def _watch(leases: Sequence[Path]) -> int:
    describer = Describer()
    async with trimif.open_mif(lease_directories=leases) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        for line in describe_limitations(mif.statistics().limitations):
            emit(line)
        async for message in subscriber:
            emit(f"{datetime.datetime.now():%H:%M:%S.%f}  {describer.describe(message, trio.current_time())}")
            subscribe_further(subscriber, message)
    return 0


async def _watch_as_json(leases: Sequence[Path]) -> int:
    async with (
        trimif.open_mif(lease_directories=leases, record=_emit_facts) as mif,
        mif.open_subscriber() as subscriber,
    ):
        subscriber.post(AnnounceInterfaces())
        async for message in subscriber:
            emit(dump_line(MessageLine(trio.current_time(), message)))
            subscribe_further(subscriber, message)
    return 0


def _emit_facts(time: float, facts: Sequence[Fact]) -> None:
    with suppress(BrokenPipeError):  # the next message says it, too, and there it does no harm
        emit(dump_line(FactsLine(time, tuple(facts))))
