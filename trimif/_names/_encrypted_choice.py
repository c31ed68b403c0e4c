"""Which encrypted server is asked how, and in what order: no I/O (RFC 9461, RFC 9463).

A server says by ALPN what it speaks, and "there is no default protocol" (RFC 9461, 4.1): one that says nothing
("ADN-only mode", RFC 9463, 3.1.6) can't be used before its SVCB records have been asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import Enum
from importlib.util import find_spec
from urllib.parse import quote

from attrs import frozen

from trimif._information import EncryptedDnsServer

_EXPRESSION = re.compile(r"\{[^{}]*\}")
_NAME = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*|[0-9A-Fa-f:.]+")
_URI_CHARACTERS = "/?:@!$&'()*+,;=-._~%"  # RFC 3986, 3.3 and 3.4; without "#", which begins what is never sent


class EncryptedProtocol(Enum):
    """How a name server is asked. The value is the port that belongs to it."""

    DOT = 853
    """DNS over TLS (RFC 7858)."""
    DOH = 443
    """DNS over HTTPS (RFC 8484)."""


_BY_ALPN = {
    "dot": EncryptedProtocol.DOT,
    "h2": EncryptedProtocol.DOH,
    "http/1.1": EncryptedProtocol.DOH,
}  # "doq" and "h3" would need QUIC


@frozen
class EncryptedWay:
    """One server and how to ask it.

    Attributes:
        path: of the requests of DNS over HTTPS, empty for DNS over TLS.
    """

    server: EncryptedDnsServer
    protocol: EncryptedProtocol
    port: int
    path: str = ""

    def __str__(self) -> str:
        return f"{self.server.name} by {self.protocol.name}"


def choose(
    servers: Sequence[EncryptedDnsServer], spoken: Collection[EncryptedProtocol] = tuple(EncryptedProtocol)
) -> tuple[EncryptedWay, ...]:
    """The ways to ask, best first: by the servers' priority, then in the order given; of one server DoT first.

    DNS over TLS does the same with less on both sides. A server whose only protocols we don't speak is left out, and
    so is DNS over HTTPS without a path: "the 'dohpath' key MUST be present" (RFC 9461, 5). So are names that no
    certificate can bear and no request can mention; an address in a name's place is allowed.

    Args:
        spoken: `protocols_spoken`, or those of them that the user wants.
    """
    ways = (way for server in sorted(servers, key=lambda server: server.priority) for way in _ways(server))
    return tuple(way for way in ways if way.protocol in spoken)


def _ways(server: EncryptedDnsServer) -> list[EncryptedWay]:
    if not _NAME.fullmatch(server.name):
        return []
    offered = {_BY_ALPN[each] for each in server.alpn if each in _BY_ALPN}
    ways = []
    if EncryptedProtocol.DOT in offered:
        ways.append(EncryptedWay(server, EncryptedProtocol.DOT, _port(server, EncryptedProtocol.DOT)))
    if EncryptedProtocol.DOH in offered and server.doh_path is not None:
        path = expand_path(server.doh_path)
        ways.append(EncryptedWay(server, EncryptedProtocol.DOH, _port(server, EncryptedProtocol.DOH), path))
    return ways


def _port(server: EncryptedDnsServer, protocol: EncryptedProtocol) -> int:
    return protocol.value if server.port is None else server.port


def expand_path(template: str) -> str:
    """A URI template without its variables: how it is expanded for POST (RFC 8484, 4.1; RFC 6570, 3.2.1).

    Always a path that can stand in a request, whatever the network told.
    """
    path = quote(_EXPRESSION.sub("", template).partition("#")[0], safe=_URI_CHARACTERS)
    return path if path.startswith("/") else f"/{path}"


def protocols_spoken() -> frozenset[EncryptedProtocol]:
    """What is installed: DNS over HTTPS needs h11 at least, HTTP/2 h2 as well (``trimif[http]``)."""
    return frozenset(EncryptedProtocol) if find_spec("h11") else frozenset({EncryptedProtocol.DOT})
