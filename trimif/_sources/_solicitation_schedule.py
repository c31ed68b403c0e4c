"""When to send router solicitations, by which interface: RFC 4861, 6.3.7 and RFC 7559. No I/O, and no clock.

**The first one.** RFC 4861: "a host SHOULD delay the transmission for a random amount of time between 0 and
MAX_RTR_SOLICITATION_DELAY", for the sake of many hosts that start at one moment; but "If a host has already performed
a random delay since the interface became (re)enabled (e.g., as part of Duplicate Address Detection [ADDRCONF]),
there is no need to delay again". What makes us ask is the end of duplicate address detection, or that this program
starts, on links that have long been up: neither happens to many hosts at once, and a person waits for the answer. So
the first few interfaces are solicited at once; and when there are more of them in one second, as on a host with a
thousand links, those wait a random time, so that not all routers answer in one burst.

**The next two** follow four seconds apart, as RFC 4861 has it.

**After that** RFC 7559 asks to go on for ever, ever more slowly (its numbers, and the algorithm of RFC 8415, 15):
each time to wait is twice the last one, give or take a tenth of that, until it is about an hour. A router that comes
up late is so found without waiting for its own rhythm, and packets that get lost at the beginning cost little.

**The end** is an advertisement of a default router: "the host MUST continue retransmitting the RSs" after one whose
router lifetime is zero (RFC 7559, 2.1). An interface that is requested again when its three are spent begins anew:
something has happened to its link.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from random import Random

from attrs import frozen

__all__ = ["SolicitationSchedule"]

MAX_RTR_SOLICITATION_DELAY = 1.0  # seconds (RFC 4861, 10)
RTR_SOLICITATION_INTERVAL = 4.0
MAX_RTR_SOLICITATIONS = 3
MRT = 3600.0  # RFC 7559, 2: IRT is 4 seconds, MRT 3,600; no other bound
RANDOMISATION = 0.1  # RFC 8415, 15
PROMPT = 8
"""So many interfaces are first solicited without delay, in any one second."""
STALE = 64
"""Entries of interfaces that need no soliciting any more are swept when they are this many, and most."""


@frozen
class _Turn:
    """The next solicitation of an interface: when, how many there were, and how long the last wait is."""

    at: float
    sent: int = 0
    interval: float = 0.0


class SolicitationSchedule:
    """Says which interfaces are to be solicited now, and when to look again; times are seconds on one clock."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._turns: dict[int, _Turn] = {}
        self._queue: list[tuple[float, int, int, _Turn]] = []  # a heap; what is no turn any more is stale
        self._tickets = itertools.count()
        self._prompt: deque[float] = deque(maxlen=PROMPT)

    def __contains__(self, index: int) -> bool:
        """It is being solicited."""
        return index in self._turns

    @property
    def next_at(self) -> float:
        """When `due` will have something next; ``math.inf`` for never."""
        while self._queue and self._turns.get(self._queue[0][2]) is not self._queue[0][3]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else math.inf

    def request(self, index: int, now: float) -> None:
        """Begin to solicit by an interface, unless its first three are under way."""
        turn = self._turns.get(index)
        if turn is None:
            self._book(index, _Turn(now + self._delay(now)))
        elif turn.sent >= MAX_RTR_SOLICITATIONS:
            last = turn.at - turn.interval
            self._book(index, _Turn(max(now, last + RTR_SOLICITATION_INTERVAL)))

    def stop(self, index: int) -> None:
        """No more by this interface: a default router has advertised itself there, or it can't send."""
        self._turns.pop(index, None)

    def clear(self) -> None:
        """No more by any."""
        self._turns.clear()
        self._queue.clear()

    def due(self, now: float) -> tuple[int, ...]:
        """The interfaces by which to send one solicitation each, now; their next ones are planned."""
        indices = []
        while self.next_at <= now:
            _at, _ticket, index, turn = heapq.heappop(self._queue)
            interval = self._interval_after(turn)
            self._book(index, _Turn(now + interval, turn.sent + 1, interval))
            indices.append(index)
        return tuple(indices)

    def _book(self, index: int, turn: _Turn) -> None:
        self._turns[index] = turn
        heapq.heappush(self._queue, (turn.at, next(self._tickets), index, turn))
        if len(self._queue) > 2 * len(self._turns) + STALE:
            self._queue = [entry for entry in self._queue if self._turns.get(entry[2]) is entry[3]]
            heapq.heapify(self._queue)

    def _delay(self, now: float) -> float:
        if len(self._prompt) == PROMPT and now - self._prompt[0] < MAX_RTR_SOLICITATION_DELAY:
            return self._random.uniform(0, MAX_RTR_SOLICITATION_DELAY)
        self._prompt.append(now)
        return 0.0

    def _interval_after(self, turn: _Turn) -> float:
        """How long to wait when the turn's solicitation has been sent."""
        if turn.sent + 1 < MAX_RTR_SOLICITATIONS:
            return RTR_SOLICITATION_INTERVAL
        random = self._random.uniform(-RANDOMISATION, RANDOMISATION)
        interval = (2 + random) * turn.interval
        return interval if interval <= MRT else (1 + random) * MRT
