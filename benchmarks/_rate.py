"""The highest rate of events at which the kernel's buffer of 4 MiB does not overrun."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks._changes import ADDRESSES
from benchmarks._host import host_with_addresses, run
from benchmarks._table import Line

SECONDS = 2.0
LOWEST, STEP = 10_000, 1.15
"""The first rate that is tried, and how much faster the next one is."""
KEPT = 0.9
"""A changer that reaches less of the rate that it was told is at its own end."""


def rate() -> Iterator[Line]:
    """Beside a Trio loop around pyroute2's parser alone."""
    ours, ours_at_end = _highest("trimif", "receive_batch")
    theirs, _ = _highest("pyroute2")
    what = "highest rate without an overrun" + (" (all that the changer can do)" if ours_at_end else "")
    yield Line(what, ours / 1000, "pyroute2's parser, Trio", theirs / 1000, unit="1000/s", target=2.0, at_least=True)


def _highest(*reader: object) -> tuple[float, bool]:
    """The highest rate that was held, and whether the changer could do no more."""
    name, *arguments = reader
    held, tried = 0.0, float(LOWEST)
    while True:
        with host_with_addresses() as host:
            changes = ["at_rate", int(tried * SECONDS), len(ADDRESSES), tried]
            saw, reached = run(host, [name, "counted", *arguments], changes)
        if saw["overruns"]:
            return held, False
        held = max(held, reached)
        if reached < KEPT * tried:
            return held, True
        tried *= STEP
