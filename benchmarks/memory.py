"""Memory over a million events: ``python -m benchmarks.memory``.

One reader keeps up, one reads now and then, and one never does. What Python's allocator holds must not grow with the
events, wherever they wait.
"""

from __future__ import annotations

import gc
import sys
import time

import trio

from trimif import AnnounceAddress, Subscriber
from trimif.testing import FIGURE_2, SimulatedHost, open_simulated_mif

EVENTS, SAMPLES = 1_000_000, 10


def drain(subscriber: Subscriber) -> None:
    """Read all that waits."""
    try:
        while True:
            subscriber.receive_nowait()
    except trio.WouldBlock:
        return


async def main() -> None:
    """Print a line for each hundred thousand events."""
    host = SimulatedHost(initial=FIGURE_2)
    async with (
        open_simulated_mif(host) as mif,
        mif.open_subscriber() as quick,
        mif.open_subscriber() as slow,
        mif.open_subscriber() as asleep,
    ):
        for subscriber in (quick, slow, asleep):
            subscriber.post(AnnounceAddress(mif.domain("eth0/ipv6").id, lifetimes=True))
        began = time.monotonic()
        for number in range(1, EVENTS + 1):
            host.add_address("eth0", "2001:db8:2::10/64", seconds=1e6 + 10 * number)
            drain(quick)
            if number % 5000 == 0:
                drain(slow)
            if number % (EVENTS // SAMPLES) == 0:
                gc.collect()
                skipped = asleep.statistics().skipped
                passed = time.monotonic() - began
                print(f"{number:9} events, {passed:6.1f} s, {sys.getallocatedblocks()} blocks, {skipped} skipped")
                await trio.lowlevel.checkpoint()


if __name__ == "__main__":
    trio.run(main)
