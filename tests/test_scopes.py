"""The ordered scope tree: one order on every trigger, one clean exception, nothing left."""

from __future__ import annotations

import gc
import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing

from trimif._scopes import Scope, open_scope_tree

RUNS = 100
LEAF_FIRST = [
    "if1/d1/lookup1",
    "if1/d1/lookup2",
    "if1/d1/connect",
    "if1/d2/lookup",
    "if2/d3/lookup",
    "timer",
    "source",
]


class Oops(Exception):
    pass


async def wait(order: list[str], name: str, steps: int) -> None:
    """A task that needs some steps to unwind, as real ones do."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
        order.append(name)


def grow(root: Scope, order: list[str], rng: random.Random) -> dict[str, Scope]:
    """A MIF's tree in small; tasks start in a random order, and unwind at random speeds."""
    nodes = {"if1": root.open_child("if1", (0,)), "if2": root.open_child("if2", (0,))}
    nodes["d1"] = nodes["if1"].open_child("d1", (0,))
    nodes["d2"] = nodes["if1"].open_child("d2", (0,))
    nodes["d3"] = nodes["if2"].open_child("d3", (0,))

    def start(owner: Scope, name: str, rank: int) -> Callable[[], object]:
        task = partial(wait, order, name, rng.randrange(5))
        return lambda: owner.start_soon(task, name=name, rank=(rank,))

    starts = [
        start(root, "source", 2),
        start(nodes["d1"], "if1/d1/connect", 1),
        start(root, "timer", 1),
        start(nodes["d3"], "if2/d3/lookup", 0),
        start(nodes["d2"], "if1/d2/lookup", 0),
    ]
    rng.shuffle(starts)
    for each in starts:
        each()
    start(nodes["d1"], "if1/d1/lookup1", 0)()
    start(nodes["d1"], "if1/d1/lookup2", 0)()
    return nodes


Trigger = Callable[[trio.CancelScope, Scope], Awaitable[None]]


async def end_of_body(_outside: trio.CancelScope, _root: Scope) -> None:
    await trio.testing.wait_all_tasks_blocked()


async def outside_cancel(outside: trio.CancelScope, _root: Scope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    outside.cancel()
    await trio.sleep_forever()


async def error_in_the_body(_outside: trio.CancelScope, _root: Scope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    raise Oops("body")


async def error_in_a_task(_outside: trio.CancelScope, root: Scope) -> None:
    await trio.testing.wait_all_tasks_blocked()

    async def crash() -> None:
        await trio.lowlevel.checkpoint()
        raise Oops("task")

    root.start_soon(crash, name="crash", rank=(9,))
    await trio.sleep_forever()


@pytest.mark.parametrize("trigger", [end_of_body, outside_cancel, error_in_the_body, error_in_a_task])
def test_one_order_on_every_trigger(trigger: Trigger) -> None:
    async def main(seed: int) -> list[str]:
        order: list[str] = []
        with trio.CancelScope() as outside:
            try:
                async with open_scope_tree("test") as root:
                    grow(root, order, random.Random(seed))
                    await trigger(outside, root)
            except Oops:
                assert "error" in trigger.__name__
            else:
                assert trigger is end_of_body
        assert outside.cancelled_caught == (trigger is outside_cancel)
        return order

    for seed in range(RUNS):
        assert trio.run(main, seed) == LEAF_FIRST


async def test_news_close_one_branch_and_the_rest_goes_on() -> None:
    order: list[str] = []
    async with open_scope_tree("test") as root:
        nodes = grow(root, order, random.Random(0))
        await trio.testing.wait_all_tasks_blocked()
        nodes["d1"].close_soon("its interface goes")
        nodes["if1"].close_soon("gone")
        nodes["if1"].close_soon("again")
        await trio.testing.wait_all_tasks_blocked()
        assert order == LEAF_FIRST[:4]
        with pytest.raises(RuntimeError, match="if1 is closing"):
            nodes["if1"].open_child("d9", (0,))
    assert order == LEAF_FIRST


async def test_closing_while_news_are_closing_keeps_the_order() -> None:
    order: list[str] = []
    async with open_scope_tree("test") as root:
        nodes = grow(root, order, random.Random(1))
        await trio.testing.wait_all_tasks_blocked()
        nodes["if1"].close_soon("gone")
    assert order == LEAF_FIRST


async def test_a_task_that_ends_by_itself_leaves_no_trace() -> None:
    async with open_scope_tree("test") as root:
        ran = root.start_soon(trio.lowlevel.checkpoint, name="short", rank=(0,))
        await trio.testing.wait_all_tasks_blocked()
        assert not root._children
        ran.close_soon("too late, and harmless")


async def test_start_waits_for_started_or_the_end() -> None:
    async def source(task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()
        seen.append("read")
        task_status.started()
        await trio.sleep_forever()

    async def limited(task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()
        seen.append("limited")

    seen: list[str] = []
    async with open_scope_tree("test") as root:
        await root.start(source, name="source", rank=(0,))
        assert seen == ["read"]
        await root.start(limited, name="limited", rank=(0,))
        assert seen == ["read", "limited"]


async def test_a_task_that_fails_to_start_ends_the_tree_with_its_exception() -> None:
    async def source(task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()
        raise Oops("no socket")

    with pytest.raises(Oops, match="no socket"):
        async with open_scope_tree("test") as root:
            await root.start(source, name="source", rank=(0,))
            raise AssertionError("the body must not go on")


async def test_a_group_of_the_body_stays_the_group_that_it_was() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Oops, match="1"), pytest.RaisesExc(Oops, match="2"), match="of the body"):
        async with open_scope_tree("test"):
            raise ExceptionGroup("of the body", [Oops("1"), Oops("2")])


async def test_two_exceptions_leave_as_a_group() -> None:
    async def crash() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Oops("task")

    with pytest.RaisesGroup(pytest.RaisesExc(Oops, match="task"), pytest.RaisesExc(Oops, match="body")):
        async with open_scope_tree("test") as root:
            root.start_soon(crash, name="crash", rank=(0,))
            await trio.testing.wait_all_tasks_blocked()
            raise Oops("body")


async def test_cause_and_context_of_a_lone_exception_survive() -> None:
    with pytest.raises(Oops) as caught:
        async with open_scope_tree("test"):
            try:
                raise KeyError("first")
            except KeyError as error:
                raise Oops("second") from error
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value.__context__, KeyError)


def test_an_interrupt_while_closing_neither_hangs_nor_changes_the_order() -> None:
    async def main(order: list[str]) -> None:
        async with open_scope_tree("test") as root:
            grow(root, order, random.Random(2))

            async def interrupt() -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    signal.raise_signal(signal.SIGINT)

            root.start_soon(interrupt, name="interrupt", rank=(-1,))
            await trio.testing.wait_all_tasks_blocked()

    order: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        trio.run(main, order)
    assert order == LEAF_FIRST


def test_nothing_is_left_after_many_trees() -> None:
    async def main() -> None:
        for seed in range(RUNS):
            async with open_scope_tree("test") as root:
                grow(root, [], random.Random(seed))
        statistics = trio.lowlevel.current_statistics()
        assert statistics.tasks_living == baseline[0]

    async def count() -> int:
        await trio.lowlevel.checkpoint()
        return trio.lowlevel.current_statistics().tasks_living

    baseline = [trio.run(count)]
    trio.run(main)
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Scope)]
