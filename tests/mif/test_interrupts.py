"""Law 8 under Ctrl-C: at whatever instruction of a busy MIF it comes, one KeyboardInterrupt leaves and nothing stays.

A timer of the kernel stands for the terminal: it raises SIGINT between any two bytecodes of whatever runs then, the
library, Trio or the program, or while everybody waits. What is left is counted after each run.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
import trio
import trio.testing

from trimif import AnnounceInterfaces, Interface, Mif, ProvisioningDomain, Subscriber, Subscription, Translation
from trimif._facts import LinkGone
from trimif._scopes import Scope
from trimif.testing import FIGURE_2, Peer, SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import ipv4, ipv6, link

from .bounded import Hang

RUNS = 300
LONGEST = 0.03  # seconds until the interrupt; several times as long as it takes to have everything at work
HANG = 5.0


# CPython lets an interrupt in between the call of ``__aexit__`` and its first step, and Trio 0.35 between the making of
# a coroutine and of its task: no library can do anything about that, so these moments are kept out of the draw.
shielded = trio.lowlevel.enable_ki_protection
exposed = trio.lowlevel.disable_ki_protection


class Busy:
    """A program that does all that a MIF can do, for ever."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        peers = {("wa0/ipv6", "2001:db8::9"): Peer(), ("eth0/ipv6", "2001:db8::9"): Peer(0.001)}
        names = {("eth0/ipv4", "a.example"): [(0.0, "203.0.113.9")], ("wa0/ipv6", "a.example"): [(0.0, "2001:db8::9")]}
        self.host = SimulatedHost(initial=FIGURE_2, peers=peers, names=names)
        self.done: Counter[str] = Counter()

    @shielded
    async def main(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self.seconds, HANG)
        async with open_simulated_mif(self.host) as mif, trio.open_nursery() as nursery:
            nursery.start_soon(mif.serve_domains, self.handle)
            nursery.start_soon(mif.serve_interfaces, self.handle_interface)
            nursery.start_soon(mif.serve_best_domain, self.handle)
            nursery.start_soon(self.dial, mif)
            nursery.start_soon(self.listen, mif)
            await self.flap()

    @exposed
    async def flap(self) -> None:
        """In the main task, so that Trio wakes it when the interrupt comes while everybody sleeps."""
        while True:
            await trio.sleep(0.001)
            self.host.report(LinkGone(2), link(2, "eth0"), *ipv4(2, "eth0"), *ipv6(2))
            self.done["flap"] += 1

    @shielded
    async def handle(self, domain: ProvisioningDomain) -> None:
        async with domain.open_nursery() as nursery:
            nursery.start_soon(self.connect, domain)
            async with domain.translate("a.example") as answers, domain.addresses() as addresses:
                await self.read(answers, addresses)

    @exposed
    async def read(self, answers: Translation, addresses: Subscription[object]) -> None:
        async for _ in answers:
            self.done["answer"] += 1
        async for _ in addresses:
            self.done["address"] += 1

    @shielded
    async def connect(self, domain: ProvisioningDomain) -> None:
        async with await domain.connect("2001:db8::9", 80):
            await trio.sleep_forever()

    async def handle_interface(self, interface: Interface) -> None:
        with interface.move_on_when_gone():
            await interface.serve_domains(self.handle)

    @shielded
    async def dial(self, mif: Mif) -> None:
        while True:
            async with await mif.open_tcp_stream("2001:db8::9", 80):
                self.done["dial"] += 1
                await trio.lowlevel.checkpoint()

    @shielded
    async def listen(self, mif: Mif) -> None:
        while True:
            with trio.move_on_after(0.002):
                async with mif.open_subscriber() as subscriber:
                    await self.hear(subscriber)

    @exposed
    async def hear(self, subscriber: Subscriber) -> None:
        subscriber.post(AnnounceInterfaces())
        async for _ in subscriber:
            self.done["news"] += 1


def left() -> tuple[int, int]:
    """Open descriptors and nodes of trees."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), sum(isinstance(each, Scope) for each in gc.get_objects())


@contextmanager
def terminal() -> Iterator[None]:
    """The timer's first signal is the interrupt, its second one says that nothing came of it.

    Python loses an exception that is raised in the callback of a weak reference, of which Trio has some; then whoever
    sits at the terminal presses Ctrl-C again.
    """
    rings = 0

    def ring(_number: int, _frame: FrameType | None) -> None:
        nonlocal rings
        rings += 1
        if rings > 1:
            raise Hang(f"it is {HANG} s after the interrupt")
        signal.raise_signal(signal.SIGINT)

    def note_lost(lost: sys.UnraisableHookArgs) -> None:
        nonlocal rings
        if lost.exc_type is KeyboardInterrupt:
            rings = 0
            signal.setitimer(signal.ITIMER_REAL, 0.001, HANG)
        else:
            hook(lost)

    before, hook = signal.signal(signal.SIGALRM, ring), sys.unraisablehook
    sys.unraisablehook = note_lost
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook


def test_an_interrupt_at_a_random_moment_leaves_nothing(request: pytest.FixtureRequest) -> None:
    gc.collect()
    gc.freeze()  # what was there before is no concern of the counting, and would make it slow
    request.addfinalizer(gc.unfreeze)
    before = left()
    done: Counter[str] = Counter()
    for _ in range(RUNS):
        busy = Busy(random.uniform(0.00001, LONGEST))
        # the nurseries of the program make groups of it, as nurseries do
        with terminal(), pytest.RaisesGroup(KeyboardInterrupt, allow_unwrapped=True, flatten_subgroups=True):
            trio.run(busy.main)
        assert busy.host.open_streams() == []
        done += busy.done
        del busy
        assert left() == before
    assert done.keys() == {"flap", "answer", "address", "dial", "news"}, "everything was at work"
