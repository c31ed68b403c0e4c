"""One attempt to reach one peer through one domain from one source address, and the sentences for its failures."""

from __future__ import annotations

import errno
import os

from attrs import frozen

from trimif._errors import ConnectFailed
from trimif._model import DomainView, IPAddress, NotConnectedReason

_MEANINGS = {
    errno.ECONNREFUSED: (NotConnectedReason.REFUSED, "the peer refused: nothing listens there, or a firewall says so"),
    errno.ECONNRESET: (NotConnectedReason.REFUSED, "the peer closed the connection as soon as it was there"),
    errno.ETIMEDOUT: (NotConnectedReason.TIMED_OUT, "nobody answered"),
    errno.EHOSTUNREACH: (
        NotConnectedReason.UNREACHABLE,
        "a router can't find the peer, or may not pass this on",
    ),
    errno.ENETUNREACH: (NotConnectedReason.UNREACHABLE, "a router on the way has no route to the peer"),
    errno.ENETDOWN: (NotConnectedReason.UNREACHABLE, "the interface is down"),
    # Linux's names for "administratively prohibited" (ICMPv6 type 1 code 1, 5 and 6) and "protocol unreachable"
    errno.EACCES: (NotConnectedReason.UNREACHABLE, "a firewall on the way forbids it"),
    errno.ENOPROTOOPT: (NotConnectedReason.UNREACHABLE, "the peer doesn't speak the protocol"),
    errno.EPERM: (NotConnectedReason.FAILED, "a firewall of this host forbids it"),
    errno.EADDRNOTAVAIL: (
        NotConnectedReason.NO_SOURCE,
        "the host lacks the source address, or a free port of it",
    ),
    errno.ENODEV: (NotConnectedReason.DOMAIN_GONE, "the interface is gone"),
}


@frozen
class Attempt:
    """Who is to be reached, through which domain, and from where.

    Attributes:
        source: None leaves the choice to the kernel, among the addresses of the domain's interface.
    """

    view: DomainView
    address: IPAddress
    port: int
    source: IPAddress | None = None

    def __str__(self) -> str:
        origin = "" if self.source is None else f" from {self.source}"
        return f"{self.address} port {self.port} through {self.view.name}{origin}"

    def failure(self, reason: NotConnectedReason, number: int, meaning: str) -> ConnectFailed:
        """The exception that says that this attempt failed, and why."""
        return ConnectFailed(number, reason, f"{self}: {meaning}")

    def no_route(self, meaning: str) -> ConnectFailed:
        """The exception for a peer that the domain does not lead to."""
        return self.failure(NotConnectedReason.NO_ROUTE, errno.ENETUNREACH, meaning)

    def no_source(self, meaning: str) -> ConnectFailed:
        """The exception for a source address that can't be used."""
        return self.failure(NotConnectedReason.NO_SOURCE, errno.EADDRNOTAVAIL, meaning)

    def explain(self, error: OSError) -> ConnectFailed:
        """Translate what the operating system said."""
        number = error.errno or 0
        reason, meaning = _MEANINGS.get(number, (NotConnectedReason.FAILED, "it failed"))
        said = os.strerror(number) if number else str(error)
        return self.failure(reason, number, f"{meaning} ({said})")
