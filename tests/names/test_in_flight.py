"""Equal questions share one exchange, whoever is cancelled, interrupted or fails, and whenever."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

import trimif._names._in_flight as module
from trimif._names._in_flight import InFlight, SharedFailure

TASKS = 20


@define
class Asker:
    """A task that asks, in a scope of its own; its exchange ends when it is told how."""

    in_flight: InFlight[str, object]
    key: str = "key"
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    told: trio.Event = field(factory=trio.Event)
    end: object = None
    ran: int = 0
    outcome: object = "pending"

    async def exchange(self) -> object:
        self.ran += 1
        await self.told.wait()
        if isinstance(self.end, Exception):
            raise self.end
        return self.end

    async def ask(self) -> None:
        with self.scope:
            try:
                self.outcome = await self.in_flight.ask(self.key, self.exchange)
            except Exception as error:
                self.outcome = error
            return
        self.outcome = "cancelled"

    async def finish(self, end: object) -> None:
        self.end = end
        self.told.set()
        await trio.testing.wait_all_tasks_blocked()

    async def cancel(self) -> None:
        self.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
def in_flight() -> InFlight[str, object]:
    return InFlight()


@pytest.fixture
async def askers(in_flight: InFlight[str, object], nursery: trio.Nursery) -> list[Asker]:
    """Tasks that ask the same, begun in their order; the first makes its exchange."""
    return [await begin(Asker(in_flight), nursery) for _ in range(TASKS)]


async def begin(asker: Asker, nursery: trio.Nursery) -> Asker:
    nursery.start_soon(asker.ask)
    await trio.testing.wait_all_tasks_blocked()
    return asker


async def test_equal_questions_share_one_exchange(askers: list[Asker], in_flight: InFlight[str, object]) -> None:
    assert [asker.ran for asker in askers] == [1] + [0] * (TASKS - 1)
    answer = object()
    await askers[0].finish(answer)
    assert all(asker.outcome is answer for asker in askers)
    assert len(in_flight) == 0


async def test_none_is_an_answer(askers: list[Asker]) -> None:
    await askers[0].finish(None)
    assert {asker.outcome for asker in askers} == {None}
    assert sum(asker.ran for asker in askers) == 1


async def test_other_questions_have_exchanges_of_their_own(
    askers: list[Asker], in_flight: InFlight[str, object], nursery: trio.Nursery
) -> None:
    other = await begin(Asker(in_flight, "other"), nursery)
    assert len(in_flight) == 2
    await other.finish("other answer")
    assert other.outcome == "other answer"
    assert {asker.outcome for asker in askers} == {"pending"}
    await askers[0].finish("answer")


async def test_a_question_after_the_answer_is_a_new_one(
    askers: list[Asker], in_flight: InFlight[str, object], nursery: trio.Nursery
) -> None:
    await askers[0].finish("old")
    late = await begin(Asker(in_flight), nursery)
    assert late.ran == 1
    await late.finish("new")
    assert (late.outcome, askers[1].outcome) == ("new", "old")


async def test_when_the_runner_is_cancelled_who_waited_longest_takes_over(askers: list[Asker]) -> None:
    for place, asker in enumerate(askers[:-1]):
        assert [each.ran for each in askers] == [1] * (place + 1) + [0] * (TASKS - place - 1)
        await asker.cancel()
        assert asker.outcome == "cancelled"
    await askers[-1].finish("answer")
    assert askers[-1].outcome == "answer"


async def test_a_new_asker_joins_who_took_over(
    askers: list[Asker], in_flight: InFlight[str, object], nursery: trio.Nursery
) -> None:
    askers[0].scope.cancel()
    late = await begin(Asker(in_flight), nursery)
    await askers[1].finish("answer")
    assert (late.ran, late.outcome, askers[-1].outcome) == (0, "answer", "answer")


async def test_nothing_is_left_when_all_are_cancelled(askers: list[Asker], in_flight: InFlight[str, object]) -> None:
    for asker in reversed(askers):
        asker.scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert {asker.outcome for asker in askers} == {"cancelled"}
    assert sum(asker.ran for asker in askers) == 1, "nobody took over who was to go as well"
    assert len(in_flight) == 0


async def test_who_leaves_while_waiting_changes_nothing(askers: list[Asker]) -> None:
    for asker in askers[1:-1]:
        await asker.cancel()
    await askers[0].finish("answer")
    assert [asker.outcome for asker in askers] == ["answer", *["cancelled"] * (TASKS - 2), "answer"]
    assert sum(asker.ran for asker in askers) == 1


async def test_cancelled_in_the_step_in_which_the_answer_comes(askers: list[Asker]) -> None:
    """The runner has the answer already, the others may or may not hear it; those not cancelled do."""
    askers[0].end = "answer"
    askers[0].told.set()
    for asker in askers[::2]:
        asker.scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert [asker.outcome for asker in askers[1::2]] == ["answer"] * (TASKS // 2)
    assert sum(asker.ran for asker in askers) == 1


async def test_cancelled_in_the_step_in_which_it_would_take_over(askers: list[Asker]) -> None:
    """The runner goes by itself; the next one is woken, and cancelled before it can have noticed."""
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        askers[0].scope.cancel()
        while askers[0].outcome == "pending":
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
        askers[1].scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert askers[1].outcome == "cancelled"
    await askers[2].finish("answer")
    assert {asker.outcome for asker in askers[2:]} == {"answer"}


async def test_an_exception_is_the_runners_own_and_the_cause_of_the_others(
    askers: list[Asker], in_flight: InFlight[str, object], nursery: trio.Nursery
) -> None:
    error = ValueError("bad")
    await askers[0].finish(error)
    assert askers[0].outcome is error
    failures = [asker.outcome for asker in askers[1:]]
    assert len({id(failure) for failure in failures}) == TASKS - 1
    for failure in failures:
        assert isinstance(failure, SharedFailure)
        assert failure.__cause__ is error
        assert "ValueError('bad')" in str(failure)
    again = await begin(Asker(in_flight), nursery)
    await again.finish("answer")
    assert (again.ran, again.outcome) == (1, "answer")


async def test_cancelled_with_an_error_on_the_way_out_is_cancelled(in_flight: InFlight[str, object]) -> None:
    """A group of both leaves the exchange: it is not the answer to anybody else's question."""

    async def stumble() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    async def run() -> object:
        async with trio.open_nursery() as inner:
            inner.start_soon(stumble)
            await trio.sleep_forever()
        raise AssertionError

    async def ask_in(scope: trio.CancelScope) -> None:
        with pytest.RaisesGroup(ValueError), scope:
            await in_flight.ask("key", run)

    waiter = Asker(in_flight)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in, scope := trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        await begin(waiter, nursery)
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert waiter.ran == 1
        await waiter.finish("answer")
    assert waiter.outcome == "answer"


@pytest.mark.parametrize("place", range(6))
async def test_cancelled_at_each_checkpoint_of_the_exchange(place: int, in_flight: InFlight[str, object]) -> None:
    scope, gate, outcomes = trio.CancelScope(), trio.Event(), []

    def exchange(end: str, cancel_at: int) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            await gate.wait()
            for step in range(5):
                if step == cancel_at:
                    scope.cancel()
                await trio.lowlevel.checkpoint()
            if cancel_at == 5:
                scope.cancel()  # after the last: too late to matter
            return end

        return run

    async def ask(end: str, cancel_at: int, scope: trio.CancelScope) -> None:
        with scope:
            outcomes.append(await in_flight.ask("key", exchange(end, cancel_at)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "first", place, scope)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            nursery.start_soon(ask, f"other {number}", -1, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert len(set(outcomes)) == 1
    assert len(outcomes) == (4 if place == 5 else 3)
    assert len(in_flight) == 0


# ---------------------------------------------------------------- whatever happens, and whenever

MOMENT = st.sampled_from([0.0, 1.0, 2.0, 3.0])
PLAN = st.tuples(st.sampled_from("xy"), MOMENT, MOMENT, st.one_of(MOMENT, st.just(math.inf)), st.booleans())


@settings(deadline=None)
@given(st.lists(PLAN, max_size=12))
def test_nobody_is_left_waiting(plans: list[tuple[str, float, float, float, bool]]) -> None:
    """Many moments coincide: tasks come, go and end their exchanges in the same step, in the order Trio chooses."""
    in_flight = InFlight[str, str]()
    running: set[str] = set()
    outcomes: list[str] = []

    async def ask(key: str, comes: float, takes: float, goes: float, fails: bool) -> None:
        calls = 0

        async def run() -> str:
            nonlocal calls
            calls += 1
            assert key not in running
            assert calls == 1
            running.add(key)
            try:
                await trio.sleep(takes)
            finally:
                running.remove(key)
            if fails:
                raise ValueError(key)
            return key

        await trio.sleep(comes)
        with trio.move_on_after(goes) as scope:
            try:
                assert await in_flight.ask(key, run) == key
            except ValueError:
                assert calls == 1
            except SharedFailure:
                assert calls == 0
        assert goes < math.inf or not scope.cancelled_caught
        outcomes.append(key)

    async def main() -> None:
        with trio.fail_after(1000):
            async with trio.open_nursery() as nursery:
                for plan in plans:
                    nursery.start_soon(ask, *plan)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(outcomes) == len(plans)
    assert len(in_flight) == 0


class Interrupter:
    """Presses Ctrl-C when a given number of lines of the module have been run."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Interrupter | None:
        if frame.f_code.co_filename != module.__file__:
            return None
        self.lines += event == "line"
        if event == "line" and self.lines == self.at:
            signal.raise_signal(signal.SIGINT)
        return self


def test_interrupted_at_each_line() -> None:
    """The main task runs the exchange when Ctrl-C comes; the others have their answer all the same."""
    lines, at = math.inf, 0
    while at < lines:
        at += 1
        lines = play_interrupted(Interrupter(at))
    assert at > 20


def play_interrupted(interrupter: Interrupter) -> int:
    in_flight, outcomes = InFlight[str, str](), []

    async def run() -> str:
        await trio.testing.wait_all_tasks_blocked()
        return "answer"

    async def wait() -> None:
        with trio.fail_after(5, shield=True):
            outcomes.append(await in_flight.ask("key", run))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
            await in_flight.ask("key", run)

    before = sys.gettrace()
    sys.settrace(interrupter)
    try:
        trio.run(main)
    except* KeyboardInterrupt:
        interrupter.lines = max(interrupter.lines, interrupter.at + 1)
    finally:
        sys.settrace(before)
    assert outcomes == ["answer"] * 3
    assert len(in_flight) == 0
    return interrupter.lines
