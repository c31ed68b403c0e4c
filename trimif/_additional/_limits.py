"""How often a network may make its hosts ask: the limits of RFC 8801, 4.1, without I/O and without a clock.

Whoever sends router advertisements decides whom all hosts on the link ask, so an attacker could turn them against
anybody's server. "hosts MUST: limit the rate at which they fetch a particular PvD's Additional Information; limit the
rate at which they fetch any PvD Additional Information on a given local network; stop making requests for a PvD ID
that does not respond with valid JSON; stop making requests for all PvD IDs once a certain number of failures is
reached on a particular network" (section 6).
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["NetworkLimits"]

DOMAIN_SECONDS = 10.0
"""Between two requests for one domain: "RECOMMENDED to be 10 seconds"."""
WINDOW_SECONDS = 10.0
WINDOW_REQUESTS = 5
""""no more than five PvD Additional Information requests in total on a given network within 10 seconds"."""
MOST_FAILURES = 10
""""If a host detects 10 or more such failures …, the host MUST NOT make any further requests"."""


class NetworkLimits:
    """The limits of one network: an interface, and a sequence of attachments to what is behind it."""

    def __init__(self) -> None:
        self._requests: deque[tuple[float, str]] = deque()
        self._failed: set[str] = set()
        self._failures = 0

    @property
    def stopped(self) -> bool:
        """So much has failed that nothing is asked any more until the host is attached anew."""
        return self._failures >= MOST_FAILURES

    def earliest(self, identifier: str, now: float) -> float:
        """From when on a request for a domain is allowed: `now` or later, ``math.inf`` for not on this attachment."""
        if self.stopped or identifier in self._failed:
            return math.inf
        self._forget_old(now)
        limits = [now, *(time + DOMAIN_SECONDS for time, whom in self._requests if whom == identifier)]
        if len(self._requests) >= WINDOW_REQUESTS:
            limits.append(self._requests[-WINDOW_REQUESTS][0] + WINDOW_SECONDS)
        return max(limits)

    def note_request(self, identifier: str, now: float) -> None:
        """A request for a domain is made now."""
        self._requests.append((now, identifier))

    def note_failure(self, identifier: str) -> None:
        """Its server, or what passes for it, did not answer as one has to: it is not asked again."""
        self._failed.add(identifier)
        self._failures += 1

    def attach_anew(self) -> None:
        """The link was away: what failed before may have been another network's. The rates still hold."""
        self._failed.clear()
        self._failures = 0

    def _forget_old(self, now: float) -> None:
        while self._requests and self._requests[0][0] + max(DOMAIN_SECONDS, WINDOW_SECONDS) <= now:
            self._requests.popleft()
