"""When the additional information of a domain is fetched, and when it counts: RFC 8801, 4.1, without I/O and clock.

A `Schedule` is told what routers advertise and how fetches ended; it says when the next fetch is due, and which
information may be used now. Where the RFC leaves something open:

* The random delay of 2 ** (10 + Delay) milliseconds is for updates. The first fetch, which a person may be waiting
  for, is made at once; delays go up to nine hours.
* The interval "[(B-A)/2,B]" for an update is read as the second half of the information's life, from A + (B-A)/2 on.
* "a TLS error, an HTTP error, or because the retrieved file does not contain valid PvD JSON" are failures, after which
  nobody asks again. A server that can't be reached is none: the network may not be ready. It is tried again, after
  10 seconds first and at most after an hour.
* Information that does not cover an advertised prefix "MUST NOT be used". What is advertised can change, so it is kept,
  and counts from the moment on at which it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from ipaddress import IPv6Network

from trimif._additional._limits import NetworkLimits
from trimif._information import PvdInformation, PvdOption
from trimif._model import IPNetwork

__all__ = ["RETRY_SECONDS", "Schedule", "is_covered", "retry_delay"]

RETRY_SECONDS = 10.0
MOST_RETRY_SECONDS = 3600.0


class Schedule:
    """Of one domain on one network.

    Args:
        identifier: the PvD id, in lower case and without trailing dot.
        limits: those of the network, which its domains share.
        random: gives numbers from 0 up to 1, uniformly.
    """

    def __init__(self, identifier: str, limits: NetworkLimits, random: Callable[[], float]) -> None:
        self.identifier = identifier
        self._limits = limits
        self._random = random
        self._option: PvdOption | None = None
        self._information: PvdInformation | None = None
        self._due = math.inf
        self._unreached = 0
        self.fetching = False

    @property
    def information(self) -> PvdInformation | None:
        """What was fetched last, if nothing has been advertised since that makes it old; perhaps not usable."""
        return self._information

    # ---------------------------------------------------------------- what happens

    def advertised(self, option: PvdOption | None, now: float) -> None:
        """A router says this of the domain now; None if no router does any more. The same again changes nothing."""
        before, self._option = self._option, option
        if option is None or not option.http:
            self._drop()  # "hosts MUST NOT do so whenever the H-flag is not set"
        elif before is None or not before.http:
            self._due = now
        elif option.sequence != before.sequence:
            self._drop()  # "hosts MUST deprecate the additional information and stop using it"
            self._due = now + self._random() * 2 ** (10 + option.delay) / 1000

    def begin(self, now: float) -> None:
        """A fetch is made now. `advertised` may end it early: then `fetching` is false again."""
        self._limits.note_request(self.identifier, now)
        self._due = math.inf
        self.fetching = True

    def succeeded(self, information: PvdInformation, now: float) -> None:
        """The fetch gave this, which is valid, is of this domain, and expires later than now."""
        if self.fetching:
            half = (information.expires - now) / 2
            self._information = information
            self._due = now + half + self._random() * half
            self._unreached = 0
            self.fetching = False

    def failed(self, now: float) -> None:
        """The fetch failed: not again on this attachment. What was fetched before counts until it expires."""
        if self.fetching:
            self._limits.note_failure(self.identifier)
            self._due = now
            self.fetching = False

    def unreachable(self, now: float) -> None:
        """The fetch did not get as far as a server."""
        if self.fetching:
            self._due = now + retry_delay(self._unreached)
            self._unreached += 1
            self.fetching = False

    def _drop(self) -> None:
        self._information = None
        self._due = math.inf
        self._unreached = 0
        self.fetching = False

    # ---------------------------------------------------------------- what to do

    def next_fetch(self, now: float) -> float:
        """When to fetch: at once if that is not later than `now`, ``math.inf`` for not unless something happens."""
        if self.fetching or self._due == math.inf:
            return math.inf
        return max(self._due, self._limits.earliest(self.identifier, now))

    def usable(self, prefixes: Iterable[IPNetwork], now: float) -> PvdInformation | None:
        """The information, if it counts now.

        Args:
            prefixes: all that prefix information options of the domain advertise.
        """
        information = self._information
        if information is None or information.expires <= now or not is_covered(prefixes, information):
            return None
        return information


def is_covered(prefixes: Iterable[IPNetwork], information: PvdInformation) -> bool:
    """Whether each IPv6 prefix lies in one that the information names."""
    named = [each for each in information.prefixes if isinstance(each, IPv6Network)]
    ours = [each for each in prefixes if isinstance(each, IPv6Network)]
    return all(any(each.subnet_of(cover) for cover in named) for each in ours)


def retry_delay(failures: int) -> float:
    """Seconds until the next attempt after `failures` earlier ones: doubled each time, up to an hour."""
    return min(RETRY_SECONDS * 2.0 ** min(failures, 20), MOST_RETRY_SECONDS)
