"""The race across domains, without I/O and without a clock: candidates and failures go in, what to start comes out.

Happy Eyeballs (RFC 8305) over (domain, address) pairs: one attempt after the other, the next when the last one failed
or the connection attempt delay has passed, domains and families taken in turn. The first pick waits the resolution
delay for an IPv6 address: "it is RECOMMENDED to wait 50 milliseconds" for the AAAA answer when the A answer was faster.
"""

from __future__ import annotations

import math
from collections import Counter

from attrs import frozen

from trimif._model import DomainId, Family, IPAddress

RESOLUTION_DELAY_SECONDS = 0.05
SHORTEST_DELAY_SECONDS = 0.01
"""RFC 8305, 8: "The minimum ... MUST NOT be less than 10 milliseconds"."""


@frozen
class Candidate:
    """An address to try, and the domain to try it through."""

    domain: DomainId
    address: IPAddress

    @property
    def family(self) -> Family:
        """The family of the address."""
        return Family.IPV4 if self.address.version == 4 else Family.IPV6


class Race:
    """Decides what is tried when. Times are on the caller's clock, `attempt_delay` in seconds, ``math.inf`` allowed."""

    def __init__(self, attempt_delay: float) -> None:
        self._delay = max(attempt_delay, SHORTEST_DELAY_SECONDS)
        self._known: set[Candidate] = set()
        self._waiting: list[Candidate] = []
        self._running: dict[Candidate, None] = {}
        self._tries: Counter[DomainId | Family] = Counter()
        self._next_start = math.inf
        self._complete = False

    def add(self, candidate: Candidate, now: float) -> None:
        """Another candidate; one that is known already does not count."""
        if candidate in self._known:
            return
        if not self._known:
            self._next_start = now if candidate.family is Family.IPV6 else now + RESOLUTION_DELAY_SECONDS
        elif candidate.family is Family.IPV6 and not self._tries:
            self._next_start = now
        self._known.add(candidate)
        self._waiting.append(candidate)

    def complete(self, now: float) -> None:
        """No more candidates will come, so the first pick waits for none."""
        self._complete = True
        if not self._tries:
            self._next_start = now

    def failed(self, candidate: Candidate, now: float) -> None:
        """An attempt failed; the next one starts at once."""
        del self._running[candidate]
        self._next_start = now

    def start(self, now: float) -> Candidate | None:
        """The candidate to start now, None if it is not time. Call again until None."""
        if not self._waiting or now < self._next_start:
            return None
        candidate = min(self._waiting, key=self._rank)  # equals in their order of arrival
        self._waiting.remove(candidate)
        self._running[candidate] = None
        self._tries.update((candidate.domain, candidate.family))
        self._next_start = now + self._delay
        return candidate

    def _rank(self, candidate: Candidate) -> tuple[int, int, bool]:
        tries = self._tries
        return tries[candidate.domain], tries[candidate.family], candidate.family is Family.IPV4

    @property
    def wake_at(self) -> float:
        """When `start` should be called again if nothing happens before; ``math.inf`` for never."""
        return self._next_start if self._waiting else math.inf

    @property
    def lost(self) -> bool:
        """Nothing runs, nothing waits, and nothing will come."""
        return self._complete and not self._waiting and not self._running
