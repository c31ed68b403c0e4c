"""When a captive portal's API is asked again: without I/O and without a clock.

RFC 8908 says no more than that a host asks when it learns of the API, and again once a person has satisfied the portal,
which nothing on the host announces. So it is asked again:

* while captive every 30 seconds, as somebody may be filling in the form; after 20 times every 5 minutes;
* when the session ends (``seconds-remaining``), and every 5 minutes of one that is limited by volume;
* else after an hour, as sessions are ended from outside, too.

Each with up to a tenth on top, at random, so that the hosts of a network don't ask in step; never twice in 10 seconds.
After a failure it is asked again as a domain's server is, but for a certificate that is not valid: then a client "MUST
NOT proceed with any of the behavior" (RFC 8908, 4.1), and it is not asked again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from trimif._additional._schedule import RETRY_SECONDS, retry_delay
from trimif._information import PortalInformation

__all__ = ["PortalSchedule"]

CAPTIVE_SECONDS = 30.0
CAPTIVE_TIMES = 20
PATIENT_SECONDS = 300.0
FREE_SECONDS = 3600.0
LEAST_SECONDS = RETRY_SECONDS


class PortalSchedule:
    """Of one API's URI in one domain.

    Args:
        now: when it was learnt; it is asked at once.
        random: gives numbers from 0 up to 1, uniformly.
    """

    def __init__(self, now: float, random: Callable[[], float]) -> None:
        self.next_request = now
        self._random = random
        self._captive = 0
        self._failures = 0

    def answered(self, information: PortalInformation, now: float) -> None:
        """It said this."""
        self._failures = 0
        self._captive = self._captive + 1 if information.captive else 0
        seconds = self._interval(information) * (1 + self._random() / 10)
        if information.session_until is not None:
            # a little after the end, or the answer would be that nothing of it is left
            seconds = min(seconds, information.session_until - now + self._random())
        self.next_request = now + max(seconds, LEAST_SECONDS)

    def failed(self, now: float, *, final: bool) -> None:
        """It could not be asked, or gave no answer that can be used; `final` if that is not to be tried again."""
        self.next_request = math.inf if final else now + retry_delay(self._failures)
        self._failures += 1

    def _interval(self, information: PortalInformation) -> float:
        if information.captive:
            return CAPTIVE_SECONDS if self._captive <= CAPTIVE_TIMES else PATIENT_SECONDS
        return FREE_SECONDS if information.octets_remaining is None else PATIENT_SECONDS
