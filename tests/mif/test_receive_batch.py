"""Receiving in batches: the same messages in the same order, with one checkpoint for many."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trimif import AnnounceInterfaces, InterfaceAnnouncement, NoInterfaceAnnouncement, StopAnnouncingInterfaces
from trimif._facts import LinkGone
from trimif._subscriber import BATCH_MESSAGES
from trimif.testing import SimulatedHost, open_simulated_mif
from trimif.testing._simulated_facts import link

from .draining import drain


async def test_a_batch_is_what_single_receives_would_have_given() -> None:
    host = SimulatedHost(initial=[link(index, f"eth{index}") for index in range(2, 7)])
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as one, mif.open_subscriber() as other:
        for subscriber in (one, other):
            subscriber.post(AnnounceInterfaces())
        with trio.testing.assert_checkpoints():
            batch = await one.receive_batch()
        assert batch == drain(other)
        assert len(batch) == 5
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read() -> None:
                assert [type(message) for message in await one.receive_batch()] == [NoInterfaceAnnouncement]

            await trio.testing.wait_all_tasks_blocked()
            host.report(LinkGone(3))


async def test_a_batch_is_bounded() -> None:
    host = SimulatedHost(initial=[link(index, f"eth{index}") for index in range(2, 2 + BATCH_MESSAGES + 10)])
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        assert [len(await subscriber.receive_batch()) for _ in range(2)] == [BATCH_MESSAGES, 10]


async def test_a_batch_that_is_cancelled_took_nothing() -> None:
    host = SimulatedHost(initial=[link(2, "eth0"), link(3, "eth1")])
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscriber.receive_batch()
        assert scope.cancelled_caught
        assert len(drain(subscriber)) == 2


async def test_stop_holds_for_a_batch_that_was_not_taken() -> None:
    host = SimulatedHost()
    async with open_simulated_mif(host) as mif, mif.open_subscriber() as subscriber:
        subscriber.post(AnnounceInterfaces())
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(subscriber.receive_batch)
                await trio.testing.wait_all_tasks_blocked()
                host.report(link(2, "eth0"))
                subscriber.post(StopAnnouncingInterfaces())
                await trio.testing.wait_all_tasks_blocked()
                assert nursery.child_tasks
                nursery.cancel_scope.cancel()
        assert drain(subscriber) == []


async def test_the_last_batch_comes_before_the_end() -> None:
    host = SimulatedHost(initial=[link(2, "eth0")])
    async with open_simulated_mif(host) as mif:
        stack = mif.open_subscriber()
        subscriber = await stack.__aenter__()
        subscriber.post(AnnounceInterfaces())
    assert [type(message) for message in await subscriber.receive_batch()] == [InterfaceAnnouncement]
    with pytest.raises(trio.EndOfChannel):
        await subscriber.receive_batch()
    await stack.__aexit__(None, None, None)
    with pytest.raises(trio.ClosedResourceError):
        await subscriber.receive_batch()


async def test_a_batch_needs_the_subscriber_for_itself() -> None:
    async with open_simulated_mif(SimulatedHost()) as mif, mif.open_subscriber() as subscriber:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(subscriber.receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError, match="another task"):
                await subscriber.receive_batch()
            nursery.cancel_scope.cancel()
