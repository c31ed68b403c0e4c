"""CPU for each event while events come faster than they are read, and how it grows with the subscribers.

The changes come in bursts that the kernel's buffer of 4 MiB holds. Two hosts: on one, 250 addresses change in turn, so
that each event is news that every subscriber has to be told; on the other, a single address changes all the time, and
what a batch of events comes to is one piece of news.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks._changes import ADDRESSES
from benchmarks._host import host_with_addresses, run
from benchmarks._table import Line

ROUNDS, CHANGES, BURST, PAUSE_SECONDS = 3, 20_000, 2_000, 0.1
FURTHER = 10
FAN_OUT = (1, 10, 100, 1000)
DECODER = "struct decoder, Trio"


def saturation() -> Iterator[Line]:
    """The first subscriber, and each further one."""
    for addresses, what in ((len(ADDRESSES), "each event is news"), (1, "one address")):
        decoder = _cpu(addresses, "decoder")
        one_by_one = _cpu(addresses, "trimif", "receive")
        first = _cpu(addresses, "trimif", "receive_batch", 1)
        all_of_them = _cpu(addresses, "trimif", "receive_batch", 1 + FURTHER)
        further = max(all_of_them - first, 0.0) / FURTHER
        yield Line(f"CPU per event, {what}, receive_batch", first, DECODER, decoder, target=2.0)
        yield Line(f"CPU per event, {what}, receive", one_by_one, DECODER, decoder, target=2.0)
        yield Line("... each further subscriber, receive_batch", further, DECODER, decoder, target=0.5)


def fan_out() -> Iterator[Line]:
    """The same with up to a thousand subscribers; each event is news."""
    for subscribers in FAN_OUT:
        changes = max(CHANGES // subscribers, 500)
        cpu = _cpu(len(ADDRESSES), "trimif", "receive_batch", subscribers, changes=changes, rounds=1)
        yield Line(f"fan-out to {subscribers}: CPU per event", cpu)
        yield Line(f"fan-out to {subscribers}: CPU per delivery", cpu / subscribers)


def _cpu(addresses: int, *reader: object, changes: int = CHANGES, rounds: int = ROUNDS) -> float:
    """Microseconds for each event: the median of some rounds."""
    name, *arguments = reader
    cpu: list[float] = []
    for _ in range(rounds):
        with host_with_addresses() as host:
            saw, _ = run(host, [name, "counted", *arguments], ["in_bursts", changes, addresses, BURST, PAUSE_SECONDS])
        if saw["overruns"]:
            raise RuntimeError(f"{name} was overrun: bursts of {BURST} are too long for this machine")
        cpu.append(saw["cpu"] / changes * 1e6)
    return statistics.median(cpu)
