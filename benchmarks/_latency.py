"""How long after the request that changes the host a subscriber's task has the announcement.

The readers take turns, `ROUNDS` times; each round is a host, a reader and a changer of their own. One change every
millisecond or so: what is measured is the way of a single event, with the processes asleep in between.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks._host import host_with_addresses, run
from benchmarks._table import Line

ROUNDS, CHANGES, PAUSE_SECONDS = 5, 600, 0.001
READERS = {"ip -ts monitor, pipe": "monitor", "AsyncIPRoute, asyncio": "asyncio", "bare recv, Trio": "bare"}


def latency() -> Iterator[Line]:
    """p50 and p99 beside other ways."""
    ours: list[float] = []
    others: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(ROUNDS):
        ours += _late("trimif")
        for name, reader in READERS.items():
            others[name] += _late(reader)
    targets = dict(zip(READERS, (2.0, 0.7, None), strict=True))
    for name, theirs in others.items():
        yield Line(
            "latency of an event, p50", _percentile(ours, 50), name, _percentile(theirs, 50), target=targets[name]
        )
    for name, theirs in others.items():
        yield Line("latency of an event, p99", _percentile(ours, 99), name, _percentile(theirs, 99))


def _late(reader: str) -> list[float]:
    """The delays in microseconds; a change that was overtaken by the next one before it was told has none."""
    with host_with_addresses(1) as host:
        saw, asked = run(
            host, [reader, "timed", *([CHANGES] if reader == "monitor" else [])], ["one_by_one", CHANGES, PAUSE_SECONDS]
        )
    return [(at - asked[int(number)]) * 1e6 for number, at in saw["seen"].items()]


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
