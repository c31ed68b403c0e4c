"""Law 7, measured: nobody waits for a slow reader, nothing grows with what it has not read, every change is counted."""

from __future__ import annotations

import gc
import random
import sys
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from trimif import AddressAnnouncement, AnnounceAddress, Announcement, Subscriber
from trimif.testing import SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import address, ipv6, link

from .draining import drain
from .test_subscriber import learn_domains

READERS = 1000
CHANGES = 24
BUFFER = 16
EVENTS = 20_000
"""A million in ``benchmarks/memory.py``."""
NOISE_BLOCKS = 200
"""Of the interpreter's own; one block for each hundred events would be more."""
ADDRESS = "2001:db8:2::10"


def new_host() -> SimulatedHost:
    return SimulatedHost(initial=[link(2, "eth0"), *ipv6(2)])


def change(host: SimulatedHost, number: int) -> None:
    """One change, of which a subscriber hears one message: the address lasts longer."""
    host.report(address(2, ADDRESS, valid_until=1e9 + 10 * number, preferred_until=1e9 + 10 * number))


def follow(subscriber: Subscriber) -> int:
    """Ask for the addresses of the one domain, and read what there is; the number of messages."""
    for domain in learn_domains(subscriber).values():
        subscriber.post(AnnounceAddress(domain, lifetimes=True))
    drain(subscriber)
    return subscriber.statistics().received


async def histories(*, with_a_sleeper: bool) -> list[list[Announcement]]:
    """What each of 999 readers received, the last reader beside them asleep, or not there."""
    host, seen = new_host(), [[] for _ in range(READERS - 1)]  # type: tuple[SimulatedHost, list[list[Announcement]]]

    async def read(mine: list[Announcement], task_status: trio.TaskStatus[None]) -> None:
        async with mif.open_subscriber(max_buffer_size=BUFFER) as subscriber:
            follow(subscriber)
            task_status.started()
            while True:
                mine += await subscriber.receive_batch()

    async def sleep(task_status: trio.TaskStatus[None]) -> None:
        async with mif.open_subscriber(max_buffer_size=BUFFER) as subscriber:
            before = follow(subscriber)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                statistics = subscriber.statistics()
                assert (statistics.received, statistics.queued, statistics.skipped) == (before, 0, CHANGES)

    async with open_simulated_mif(host) as mif, trio.open_nursery() as nursery:
        if with_a_sleeper:
            await nursery.start(sleep)
        for mine in seen:
            await nursery.start(read, mine)
        for number in range(CHANGES):
            change(host, number)
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return seen


async def test_one_reader_in_a_thousand_sleeps_and_the_others_receive_the_same() -> None:
    with_it, without_it = await histories(with_a_sleeper=True), await histories(with_a_sleeper=False)
    assert with_it == without_it
    assert {len(each) for each in with_it} == {CHANGES}
    assert [message.valid_until for message in with_it[0] if isinstance(message, AddressAnnouncement)] == [
        1e9 + 10 * number for number in range(CHANGES)
    ]


@pytest.mark.parametrize("seed", range(20))
async def test_every_change_is_received_or_skipped_or_waits(seed: int) -> None:
    """After each step, whatever the reader does; the present state, told instead of what was skipped, comes on top."""
    choice, host, told_instead = random.Random(seed), new_host(), 0
    async with open_simulated_mif(host) as mif, mif.open_subscriber(max_buffer_size=BUFFER) as subscriber:
        before, messages = follow(subscriber), []
        for number in range(500):
            change(host, number)
            for _ in range(choice.choice([*[0] * 30, 1, 2, BUFFER, 2 * BUFFER])):
                told_instead += _is_behind(subscriber)
                try:
                    messages.append(subscriber.receive_nowait())
                except trio.WouldBlock:
                    break
            statistics = subscriber.statistics()
            heard = statistics.received - before - told_instead
            assert heard + statistics.skipped + statistics.queued == number + 1
        assert told_instead > 0, "it fell behind"
        messages += drain(subscriber)
        assert messages[-1] == mif.snapshot().interfaces[0].domains[0].addresses[0]


def _is_behind(subscriber: Subscriber) -> bool:
    """News was skipped, so the next message is the present state."""
    return bool(subscriber._mailbox._behind)


async def test_memory_is_flat_however_much_is_not_read() -> None:
    host = new_host()
    async with open_simulated_mif(host) as mif, AsyncExitStack() as stack:
        quick, slow, asleep = [
            await stack.enter_async_context(mif.open_subscriber(max_buffer_size=BUFFER)) for _ in range(3)
        ]
        for subscriber in (quick, slow, asleep):
            follow(subscriber)
        blocks = []
        for number in range(EVENTS):
            change(host, number)
            drain(quick)
            if number % 100 == 0:
                drain(slow)
            if number % (EVENTS // 4) == EVENTS // 4 - 1:
                gc.collect()
                blocks.append(sys.getallocatedblocks())
        assert asleep.statistics().skipped == EVENTS
        assert max(blocks) - blocks[0] < NOISE_BLOCKS
