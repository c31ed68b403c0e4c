"""The additional information of one domain: fetched when due, told while it counts (RFC 8801, 4)."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import trio

from trimif._additional._failures import BadAnswer, BadCertificate, FetchFailed, Unreachable
from trimif._additional._fetch import Resolver, fetch
from trimif._additional._follower import Follower, Tools
from trimif._additional._limits import NetworkLimits
from trimif._additional._schedule import Schedule
from trimif._errors import MalformedInput
from trimif._facts import AdditionalInformation
from trimif._information import Information, PvdInformation
from trimif._model import ElementType, IPNetwork
from trimif._owners import ProvisioningDomain
from trimif._wire.pvd_information import parse_pvd_information

__all__ = ["PvdFollower", "fetch_pvd_information"]

SOURCE = "pvd"
MEDIA_TYPE = "application/pvd+json"

MEND = "the operator of the network has to mend it; trimif asks again when the link has been down"
CERTIFICATE = (
    "the server needs a certificate for that name from an authority that this host trusts; one that it does not know "
    "by itself can be given as an ssl_context; trimif asks again when the link has been down"
)
REACHABLE = "the domain's name servers have to know it, and the domain has to lead to it; trimif goes on trying"
PREFIXES = "the operator has to list every prefix that is advertised; until then the information is not used"
STOPPED = "the network is misconfigured or under attack; trimif asks again when the link has been down"


async def fetch_pvd_information(domain: Resolver, identifier: str, ssl_context: ssl.SSLContext) -> PvdInformation:
    """Fetch the additional information of an explicit provisioning domain, wholly inside it.

    It ends by itself, within minutes. If cancelled, no socket is left. Whether it covers the prefixes that are
    advertised is for the caller to see.

    Args:
        identifier: the PvD id, in lower case and without trailing dot; the server's certificate has to bear it.

    Raises:
        Unreachable: the server could not be reached.
        BadAnswer: it was, but did not give the information, or gave that of another domain, or expired information.
        MalformedInput: what it gave is not what RFC 8801, 4.3 asks for.
        DomainGone: the domain is gone, or went in the middle.
    """
    octets = await fetch(domain, f"https://{identifier}/.well-known/pvd", MEDIA_TYPE, ssl_context)
    information = parse_pvd_information(octets, _deadline)
    if information.identifier != identifier:  # "MUST be matched against the PvD ID", in any case (3.4)
        raise BadAnswer(f"it is about another domain, {information.identifier}")
    if information.expires <= trio.current_time():
        raise BadAnswer("it has expired, or this host's clock is wrong")
    return information


def _deadline(moment: datetime) -> float:
    return trio.current_time() + (moment.timestamp() - time.time())


class PvdFollower(Follower):
    """Tells the additional information of a domain as `AdditionalInformation`."""

    def __init__(self, domain: ProvisioningDomain, index: int, tools: Tools, limits: NetworkLimits) -> None:
        super().__init__(domain, index, tools)
        self._limits = limits
        self._schedule = Schedule("", limits, tools.random)

    def _learn(self, now: float) -> bool:
        option = self._domain.get(ElementType.RA, Information.PVD)
        if option is not None and option.identifier != self._schedule.identifier:
            self._tell(None)
            self._schedule = Schedule(option.identifier, self._limits, self._tools.random)
        self._schedule.advertised(option, now)
        return not self._schedule.fetching

    def _plan(self, now: float) -> tuple[float, float]:
        information = self._schedule.usable(self._prefixes(), now)
        self._tell(information)
        self._explain_what_is_not_used(now)
        due = self._schedule.next_fetch(now) if self._is_ready(names=True) else math.inf
        return due, math.inf if information is None else information.expires

    def _begin(self, now: float) -> Callable[[], Awaitable[None]]:
        self._schedule.begin(now)
        return partial(self._ask, self._schedule)

    async def _ask(self, schedule: Schedule) -> None:
        try:
            information = await fetch_pvd_information(self._domain, schedule.identifier, self._tools.ssl_context)
        except Unreachable as failure:
            schedule.unreachable(trio.current_time())
            self._limit(schedule, failure, REACHABLE)
        except (BadAnswer, MalformedInput) as failure:
            schedule.failed(trio.current_time())
            self._limit(schedule, failure, CERTIFICATE if isinstance(failure, BadCertificate) else MEND)
        else:
            schedule.succeeded(information, trio.current_time())
        await trio.lowlevel.checkpoint()

    def _prefixes(self) -> tuple[IPNetwork, ...]:
        return self._domain.get(ElementType.RA, Information.PREFIXES) or ()

    def _tell(self, information: PvdInformation | None) -> None:
        if self._schedule.identifier:
            fact = AdditionalInformation(self._index, self._schedule.identifier, information)
            self._tools.teller.tell(self, fact)

    def _explain_what_is_not_used(self, now: float) -> None:
        information = self._schedule.information
        if information is not None and information.expires > now and not self._schedule.usable(self._prefixes(), now):
            prefixes = ", ".join(map(str, self._prefixes()))
            fault = BadAnswer(f"it does not cover all of the prefixes that are advertised, {prefixes}")
            self._limit(self._schedule, fault, PREFIXES)
        if self._limits.stopped:
            what = f"additional information on {self._domain.interface.name}"
            self._tools.teller.limit(SOURCE, f"{what}: too many requests failed", STOPPED)

    def _limit(self, schedule: Schedule, failure: FetchFailed | MalformedInput, remedy: str) -> None:
        what = f"additional information of {schedule.identifier}"
        self._tools.teller.limit(SOURCE, self._explain(what, failure), remedy)
