"""Equal questions that are asked at the same time share one exchange.

The first task that asks runs the exchange itself: there is no task in the background, so nothing can outlive who wants
the answer. The others wait for it. If the one that runs it is cancelled (or interrupted by Ctrl-C), the one that has
waited longest runs its own exchange, in its own task, and the rest wait for that. Who leaves while waiting changes
nothing for anybody else.

No task is ever woken for nothing, or left waiting: what a task does between being woken and its next checkpoint can't
be cancelled, so the one task that is woken to take over does take over, and an answer is handed to all who wait for it
in the same step in which it is known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import trio
from attrs import define, field

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedFailure(Exception):
    """The exchange that this task waited for failed in the task that ran it, by the exception that is the cause.

    It is not raised again itself: the traceback of an exception that several tasks raise is a mixture of all of theirs.
    """


@define(eq=False)
class _Flight(Generic[V]):
    """One exchange. It has landed if there is an answer or an error; else who is woken takes it over."""

    waiting: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    answers: list[V] = field(factory=list)  # one at most; any value, also None, is an answer
    error: Exception | None = None


class InFlight(Generic[K, V]):
    """The exchanges that are under way, by what is asked."""

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}

    def __len__(self) -> int:
        """How many exchanges are under way."""
        return len(self._flights)

    @trio.lowlevel.enable_ki_protection
    async def ask(self, key: K, run: Callable[[], Awaitable[V]]) -> V:
        """The answer to `key`: that of the exchange under way if there is one, else what `run` returns.

        The answer is one object for all, so it has to be immutable. A task that joins late gets what the exchange comes
        to, be it the failure of one that began long ago. `run` is to return its failures as values where they
        can be expected: then all who ask hear the same.

        Args:
            run: makes the exchange, and always executes a checkpoint. It is called once or not at all. It must not ask
                here itself: two questions that lead to each other would wait for ever.

        Raises:
            SharedFailure: another task ran the exchange, and an exception ended it.
            Exception: what `run` raised, in the task that ran it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            return await self._run(key, flight, run)
        await flight.waiting.park()
        if flight.error is not None:
            raise SharedFailure(f"the exchange that was shared failed: {flight.error!r}") from flight.error
        return flight.answers[0] if flight.answers else await self._run(key, flight, run)

    async def _run(self, key: K, flight: _Flight[V], run: Callable[[], Awaitable[V]]) -> V:
        try:
            answer = await run()
        except Exception as error:
            flight.error = error
            self._land(key, flight)
            raise
        except BaseException:  # cancelled or interrupted: that is about this task alone
            if flight.waiting:
                flight.waiting.unpark()
            else:
                del self._flights[key]
            raise
        flight.answers.append(answer)
        self._land(key, flight)
        return answer

    def _land(self, key: K, flight: _Flight[V]) -> None:
        del self._flights[key]
        flight.waiting.unpark_all()
