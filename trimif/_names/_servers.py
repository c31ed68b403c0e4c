"""Whom to ask next and when, among the name servers of one domain: no I/O, and no clock but the caller's.

A question is a `Round`. The first server is asked at once. Each of the others is asked when the one before it failed
(unreachable, SERVFAIL, REFUSED, lame), or has been silent for longer than it usually takes: its *patience*, a quarter
of a second for one that is not known yet. Those asked before are still listened to; the first useful answer counts.
When all have been asked they are asked again, the silent ones a second and then two more after they were last asked
(RFC 6298, 2.4: not before a second), `TURNS` times in all (RFC 9520, 3.1: no query is repeated more than twice). The
repetitions go without EDNS, which some servers and middleboxes stumble over (RFC 6891, 6.2.2).

The domain's order counts while servers are equally good. A server *lags* when it failed or stayed silent while another
one gave a useful answer; where nobody answers, nobody is worse than the others. One that lags is asked last, and
probed: now and then, `FIRST_PROBE_SECONDS` after it began to lag and then ever more seldom, a question goes to it and
to the best server in the same instant, so that it costs nobody any time. If it answers first, or another question
brings an answer of it, it has its old place again. An answer is matched to its own datagram, so what RFC 6298 has to
do about repeated ones (Karn's algorithm) is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from attrs import define, field, frozen

TURNS = 3
MOST_ATTEMPTS = 9
QUESTION_SECONDS = 10.0
REPEAT_SECONDS = 1.0
FIRST_PATIENCE = 0.25  # for a server not known yet, and for one that varies much
SHORTEST_PATIENCE = 0.1  # a server that is near has to ask others, too, now and then
LONGEST_PATIENCE = 1.0
FIRST_PROBE_SECONDS = 1.0
LONGEST_PROBE_SECONDS = 30.0
FORGET_SECONDS = 600.0
PLAIN_SECONDS = 300.0

S = TypeVar("S", bound=Hashable)


@frozen
class Attempt(Generic[S]):
    """One question to one server, to be sent now.

    Attributes:
        turn: 0 for the first to this server in its round.
        edns: whether to offer EDNS.
        started: when it was begun, on the caller's clock.
        probe: it is sent to see whether a server that lagged has recovered.
    """

    server: S
    turn: int
    edns: bool
    started: float
    probe: bool = False


@define
class _Quality:
    """What is remembered of a server. Times are smoothed as RFC 6298, 2 says."""

    usual: float = math.nan
    variation: float = 0.0
    heard: float = -math.inf
    lags: bool = False
    probe_after: float = FIRST_PROBE_SECONDS
    probe_at: float = math.inf
    plain_until: float = -math.inf

    def patience(self, now: float) -> float:
        """How long to wait for it before another one is asked as well, in seconds."""
        if not now - self.heard < FORGET_SECONDS:
            return FIRST_PATIENCE
        # What is in the server's cache comes at once, and what is not takes long: the variation is large where nothing
        # is wrong. So it counts up to what a new server gets; beyond that only a server that is always slow gets.
        usually = min(self.usual + 4 * self.variation, FIRST_PATIENCE)
        return min(max(usually, 1.5 * self.usual, SHORTEST_PATIENCE), LONGEST_PATIENCE)

    def note_answer(self, attempt: Attempt[S], now: float) -> None:
        took = now - attempt.started
        if not now - self.heard < FORGET_SECONDS:
            self.usual, self.variation = took, took / 2
        else:
            self.variation += (abs(self.usual - took) - self.variation) / 4
            self.usual += (took - self.usual) / 8
        self.heard = now
        self.lags, self.probe_after, self.probe_at = False, FIRST_PROBE_SECONDS, math.inf

    def note_lag(self, attempt: Attempt[S], now: float) -> None:
        if not self.lags and attempt.started >= self.heard:  # else it has answered a later question
            self.lags, self.probe_at = True, now + self.probe_after

    def note_probe(self, now: float) -> None:
        self.probe_after = min(2 * self.probe_after, LONGEST_PROBE_SECONDS)
        self.probe_at = now + self.probe_after


class ServerOrder(Generic[S]):
    """What is known of the servers of one domain. It ends with the domain, and with a change of its servers."""

    def __init__(self) -> None:
        self._qualities: dict[S, _Quality] = {}

    def begin(self, servers: Sequence[S], now: float) -> Round[S]:
        """A new question to some servers of the domain, given in the domain's order."""
        plan = self.plan(servers)
        probe = self._probe(plan, now)
        if probe is not None:
            self.quality(probe).note_probe(now)
        return Round(self, plan, probe, now)

    def plan(self, servers: Sequence[S]) -> list[S]:
        """The servers, each once, in the order in which a question would be put to them."""
        return sorted(dict.fromkeys(servers), key=self._rank)

    def quality(self, server: S) -> _Quality:
        """For `Round`."""
        return self._qualities.setdefault(server, _Quality())

    def _rank(self, server: S) -> tuple[bool, float]:
        """Those that lag come last, the longer they do the later; equals in the domain's order."""
        quality = self.quality(server)
        return quality.lags, quality.probe_after

    def _probe(self, plan: Sequence[S], now: float) -> S | None:
        if not plan or self.quality(plan[0]).lags:
            return None  # it is being asked anyway
        return next((server for server in plan if self.quality(server).probe_at <= now), None)


@define
class _Asked(Generic[S]):
    """A server's part in a round."""

    attempts: list[Attempt[S]] = field(factory=list)
    failures: int = 0

    def again_at(self) -> float:
        """When it may be asked again: one that failed at once, a silent one when it has had its time."""
        if not self.attempts or self.failures == len(self.attempts):
            return -math.inf
        last = self.attempts[-1]
        return last.started + REPEAT_SECONDS * (1 << last.turn)


class Round(Generic[S]):
    """One question: which attempt to begin when. Made by `ServerOrder.begin`.

    Until `is_over`, begin what `start` gives, then wait until `wake_at` or until an attempt ends, and say how it ended
    with `answered` or `failed`. Attempts that are under way when the round is over may be cancelled, or be
    listened to for longer: a late answer still speaks for its server.
    """

    def __init__(self, order: ServerOrder[S], plan: Sequence[S], probe: S | None, now: float) -> None:
        self._order = order
        self._pending = list(plan)  # those that are to be asked in this turn
        self._asked: dict[S, _Asked[S]] = {server: _Asked() for server in plan}
        self._probe = probe
        self._turn = 0
        self._left = MOST_ATTEMPTS
        self._running: dict[Attempt[S], None] = {}
        self._waited_for: Attempt[S] | None = None
        self._next_at = now
        self._won = False
        self.ends_at = now + QUESTION_SECONDS
        """When it is given up, on the caller's clock."""

    def is_over(self, now: float) -> bool:
        """A useful answer has come, or the time is over, or all servers have failed."""
        return self._won or now >= self.ends_at or not (self._running or self._can_start())

    @property
    def wake_at(self) -> float:
        """When there is something to begin, or to give up, if nothing is heard before."""
        return min(self._starts_at(self._pick()), self.ends_at) if self._can_start() else self.ends_at

    def start(self, now: float) -> Attempt[S] | None:
        """The attempt to begin now, None if it is not time. Call again until None."""
        if self.is_over(now) or not self._can_start():
            return None
        server = self._pick()
        return self._begin(server, now) if now >= self._starts_at(server) else None

    def answered(self, attempt: Attempt[S], now: float) -> None:
        """A useful answer: it has addresses, or says that there are none. The round is over."""
        self._running.pop(attempt, None)
        quality = self._order.quality(attempt.server)
        quality.note_answer(attempt, now)
        if not attempt.edns and attempt.turn:
            quality.plain_until = now + PLAIN_SECONDS
        self._won = True
        self._note_lags(attempt, now)

    def failed(self, attempt: Attempt[S], now: float) -> None:
        """The server can't be reached, or its answer is of no use. The next one is asked at once."""
        self._running.pop(attempt, None)
        asked = self._asked[attempt.server]
        asked.failures += 1
        if asked.failures == 2 and attempt.server in self._pending:
            self._pending.remove(attempt.server)  # it failed without EDNS, too
        self._refill()
        if attempt == self._waited_for:
            self._next_at = now

    # ---------------------------------------------------------------- what comes next

    def _can_start(self) -> bool:
        return bool(self._pending) and self._left > 0

    def _pick(self) -> S:
        """The probe, then who may be asked soonest, then the plan's order."""
        if self._turn == 0:
            return self._probe if self._probe in self._pending else self._pending[0]
        return min(self._pending, key=lambda server: self._asked[server].again_at())

    def _starts_at(self, server: S) -> float:
        return max(self._next_at, self._asked[server].again_at())

    def _begin(self, server: S, now: float) -> Attempt[S]:
        quality, probe = self._order.quality(server), self._turn == 0 and server == self._probe
        attempt = Attempt(server, self._turn, self._turn == 0 and now >= quality.plain_until, now, probe)
        self._left -= 1
        self._running[attempt] = None
        self._asked[server].attempts.append(attempt)
        self._pending.remove(server)
        self._refill()
        if not probe:
            self._waited_for, self._next_at = attempt, now + quality.patience(now)
        return attempt

    def _refill(self) -> None:
        if not self._pending and self._turn + 1 < TURNS:
            self._turn += 1
            self._pending = [server for server, asked in self._asked.items() if asked.failures < 2]

    def _note_lags(self, winner: Attempt[S], now: float) -> None:
        """Who failed, or is silent for longer than the winner took (so beyond its patience), lags behind it."""
        for server, asked in self._asked.items():
            for attempt in asked.attempts if server != winner.server else ():
                if attempt not in self._running or attempt.started < winner.started:
                    self._order.quality(server).note_lag(attempt, now)
