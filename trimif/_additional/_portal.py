"""The captive portal of one domain: its API is asked when due, and what it answered is told (RFC 8908, RFC 8910)."""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

import trio

from trimif._additional._failures import BadAnswer, BadCertificate, FetchFailed, Unreachable
from trimif._additional._fetch import Resolver, fetch
from trimif._additional._follower import Follower, Tools
from trimif._additional._portal_schedule import PortalSchedule
from trimif._errors import MalformedInput
from trimif._facts import PortalStatus
from trimif._information import Information, PortalInformation
from trimif._model import ElementType
from trimif._owners import ProvisioningDomain
from trimif._wire.json_object import optional_url
from trimif._wire.portal import UNRESTRICTED, parse_portal

__all__ = ["PortalFollower", "fetch_portal"]

SOURCE = "portal"
MEDIA_TYPE = "application/captive+json"
ELEMENTS = (ElementType.RA, ElementType.DHCPV6, ElementType.DHCPV4)
"""Who may tell the URI; the first one counts. "Implementations can select their own precedence order" (RFC 8910, 3)."""

MEND = "the operator of the network has to mend it; trimif goes on asking, ever more rarely"
HTTPS = "the operator of the network has to advertise an https URI (RFC 8910, 2)"
IDENTICAL = "the operator of the network has to make them identical (RFC 8910, 3)"
CERTIFICATE = (
    "the server needs a certificate for its name from an authority that this host trusts; one that it does not know "
    "by itself can be given as an ssl_context"
)
REACHABLE = "the domain's name servers have to know it, and the domain has to lead to it; trimif goes on trying"


async def fetch_portal(domain: Resolver, uri: str, ssl_context: ssl.SSLContext) -> PortalInformation:
    """Ask the API of a captive portal, wholly inside the domain.

    It ends by itself, within minutes. If cancelled, no socket is left.

    Raises:
        Unreachable: the server could not be reached.
        BadAnswer: it was, but did not answer.
        MalformedInput: what it answered is not what RFC 8908, 5 asks for.
        DomainGone: the domain is gone, or went in the middle.
    """
    octets = await fetch(domain, uri, MEDIA_TYPE, ssl_context)
    return parse_portal(octets, trio.current_time())


class PortalFollower(Follower):
    """Tells what the portal of a domain says as `PortalStatus`."""

    def __init__(self, domain: ProvisioningDomain, index: int, tools: Tools) -> None:
        super().__init__(domain, index, tools)
        self._uri: str | None = None
        self._schedule: PortalSchedule | None = None

    def _learn(self, now: float) -> bool:
        told = [uri for each in ELEMENTS if (uri := self._domain.get(each, Information.CAPTIVE_PORTAL)) is not None]
        if len(set(told)) > 1:
            texts = " and ".join(dict.fromkeys(told))
            self._limit(BadAnswer(f"the network tells several, {texts}; the first one is asked"), IDENTICAL)
        uri = told[0] if told else None
        if uri == self._uri:
            return False
        if self._uri is not None:
            self._tell(self._uri, None)
        self._uri, self._schedule = uri, None
        if uri is not None and self._is_askable(uri):
            self._schedule = PortalSchedule(now, self._tools.random)
        return True

    def _is_askable(self, uri: str) -> bool:
        """The API "MUST be accessed over HTTP using an https URI" (RFC 8908, 4)."""
        if uri == UNRESTRICTED:
            return False
        if optional_url(uri, "https") is None:
            self._limit(BadAnswer(f"{uri[:100]!r} is no https URI"), HTTPS)
            return False
        return True

    def _plan(self, now: float) -> tuple[float, float]:
        if self._schedule is None or not self._is_ready(names=_has_name(self._uri or "")):
            return math.inf, math.inf
        return self._schedule.next_request, math.inf

    def _begin(self, now: float) -> Callable[[], Awaitable[None]]:
        assert self._uri is not None
        assert self._schedule is not None
        return partial(self._ask, self._uri, self._schedule)

    async def _ask(self, uri: str, schedule: PortalSchedule) -> None:
        try:
            information = await fetch_portal(self._domain, uri, self._tools.ssl_context)
        except (Unreachable, BadAnswer, MalformedInput) as failure:
            schedule.failed(trio.current_time(), final=isinstance(failure, BadCertificate))
            self._tell(uri, None)
            self._limit(failure, _remedy(failure))
        else:
            schedule.answered(information, trio.current_time())
            if schedule is self._schedule:  # else the network has told another URI, a moment ago
                self._tell(uri, information)
        await trio.lowlevel.checkpoint()

    def _tell(self, uri: str, information: PortalInformation | None) -> None:
        self._tools.teller.tell(self, PortalStatus(self._index, uri, information))

    def _limit(self, failure: FetchFailed | MalformedInput, remedy: str) -> None:
        self._tools.teller.limit(SOURCE, self._explain("the captive portal's API", failure), remedy)


def _remedy(failure: FetchFailed | MalformedInput) -> str:
    if isinstance(failure, Unreachable):
        return REACHABLE
    return CERTIFICATE if isinstance(failure, BadCertificate) else MEND


def _has_name(uri: str) -> bool:
    try:
        ip_address(urlsplit(uri).hostname or "")
    except ValueError:
        return True
    return False
