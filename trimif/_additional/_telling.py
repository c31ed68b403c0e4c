"""What was fetched becomes facts; several domains of an interface may have the same to tell, or to take back.

An IPv4 and an IPv6 domain of one interface often know the same portal, and each asks it for itself. As a fact there is
one status, the latest, and it is taken back with the last domain that had one.

Why something is not there is told as a `Limitation`, once for each reason, with the remedy, and logged. What networks
say makes up the reasons, so their number has a bound.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from attrs import evolve

from trimif._facts import AdditionalInformation, Fact, Limitation, PortalStatus

__all__ = ["Teller"]

MOST_LIMITATIONS = 50

_log = logging.getLogger("trimif.additional")

Fetched: TypeAlias = AdditionalInformation | PortalStatus


class Teller:
    """Reports facts for the followers of domains, who hold them."""

    def __init__(self, report: Callable[[Sequence[Fact]], None]) -> None:
        self._report = report
        self._held: dict[Fetched, dict[Hashable, Fetched]] = {}  # by the fact that takes them back
        self._told: dict[Fetched, Fetched] = {}
        self._limitations: set[Limitation] = set()

    def tell(self, holder: Hashable, fact: Fetched) -> None:
        """This is so in a domain; if its information is None, no longer. The same again changes nothing."""
        withdrawal = evolve(fact, information=None)
        holders = self._held.setdefault(withdrawal, {})
        if fact == withdrawal:
            holders.pop(holder, None)
        elif holders.get(holder) != fact:
            holders.pop(holder, None)  # the latest is last
            holders[holder] = fact
        self._settle(withdrawal)

    def forget(self, holder: Hashable) -> None:
        """The domain is gone, and with it what it had to tell."""
        for withdrawal in [each for each, holders in self._held.items() if holder in holders]:
            self.tell(holder, withdrawal)

    def limit(self, source: str, missing: str, remedy: str) -> None:
        """Say once why something can't be seen."""
        limitation = Limitation(source, missing, remedy)
        if limitation in self._limitations:
            return
        _log.info("%s: %s; %s", source, missing, remedy)
        if len(self._limitations) < MOST_LIMITATIONS:
            self._limitations.add(limitation)
            self._report([limitation])

    def _settle(self, withdrawal: Fetched) -> None:
        latest = next(reversed(self._held[withdrawal].values()), None)
        if latest is None:
            del self._held[withdrawal]
        if latest == self._told.get(withdrawal):
            return
        if latest is None:
            del self._told[withdrawal]
        else:
            self._told[withdrawal] = latest
        self._report([latest or withdrawal])
