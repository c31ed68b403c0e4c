"""What managers on the host say of one link's DNS, in whatever form, as typed data.

systemd's programs write a server as ``ADDRESS[:PORT][%INTERFACE][#NAME]``, with brackets around an IPv6 address that
a port follows; the name is what its certificate has to bear when it is asked over TLS. Of lists of servers and
domains each item stands for itself: one that is malformed is left out, and the others count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Any, TypeVar

from attrs import frozen

from trimif._errors import MalformedInput
from trimif._information import Data, DnsServerSelection, EncryptedDnsServer, Information
from trimif._model import IPAddress, Value
from trimif._wire.domain_names import check_domain_name

__all__ = ["ENTRIES", "LinkDns", "NameServer", "parse_domains", "parse_server", "parse_servers"]

DNS_PORT = 53
ROOT = "."
ENTRIES = 4096
"""Of one list; more are not read."""

T = TypeVar("T")

_SERVER = re.compile(
    r"""
    (?: (?P<bare> [0-9A-Fa-f]* : [0-9A-Fa-f:.]* )
      | (?: \[ (?P<bracketed> [0-9A-Fa-f:.]+ ) \] | (?P<ipv4> [0-9.]+ ) ) (?: : (?P<port> [0-9]{1,5} ) )? )
    (?: % [^\#%\s]{1,15} )?
    (?: \# (?P<name> \S{1,255} ) )?
    """,
    re.VERBOSE | re.ASCII,
)


@frozen(repr=False)
class NameServer(Value):
    """A name server that a manager was told.

    Attributes:
        port: None for the protocol's own.
        name: for DNS over TLS, without trailing dot; None if not told.
    """

    address: IPAddress
    port: int | None = None
    name: str | None = None


@frozen(repr=False)
class LinkDns(Value):
    """The DNS of a link.

    Attributes:
        search_domains: to try single names in; without trailing dot.
        routing_domains: names in them are to be asked here; without trailing dot, the root is ``"."``.
        default_route: whether names that no link's domains cover are asked here too; None if not told.
    """

    servers: tuple[NameServer, ...] = ()
    search_domains: tuple[str, ...] = ()
    routing_domains: tuple[str, ...] = ()
    default_route: bool | None = None

    def __add__(self, other: LinkDns) -> LinkDns:
        """Both together: what two programs told of one link."""
        return LinkDns.together([self, other])

    @classmethod
    def together(cls, parts: Iterable[LinkDns]) -> LinkDns:
        """All parts as one; of those that tell whether it is the default route, the last counts."""
        told = list(parts)
        routes = [each.default_route for each in told if each.default_route is not None]
        return cls(
            _unique(server for each in told for server in each.servers),
            _unique(name for each in told for name in each.search_domains),
            _unique(name for each in told for name in each.routing_domains),
            routes[-1] if routes else None,
        )

    def data(self) -> Data:
        """The same by information identifier; what is not told is absent.

        A server on another port than 53 can't be asked as others are, so it is no `Information.DNS_SERVERS`.
        """
        plain = (each.address for each in self.servers if each.port in (None, DNS_PORT))
        items: tuple[tuple[Information[Any], tuple[object, ...]], ...] = (
            (Information.DNS_SERVERS, _unique(plain)),
            (Information.SEARCH_DOMAINS, self.search_domains),
            (Information.SPLIT_DOMAINS, self.routing_domains),
            (Information.DNS_SELECTION, tuple(self._selection())),
            (Information.ENCRYPTED_DNS, tuple(self._encrypted())),
        )
        return tuple(item for item in items if item[1])

    def _selection(self) -> Iterator[DnsServerSelection]:
        """Which names the servers are for, in the terms of RFC 6731: "." stands for all that nobody else has."""
        domains = _unique((*self.routing_domains, *self.search_domains))
        if self.default_route is None or (self.default_route and not domains):
            return
        root = (ROOT,) if self.default_route and ROOT not in domains else ()
        for each in self.servers:
            yield DnsServerSelection(each.address, 0, domains + root)

    def _encrypted(self) -> Iterator[EncryptedDnsServer]:
        for place, each in enumerate(self.servers, 1):
            if each.name is not None:
                yield EncryptedDnsServer(place, each.name, (each.address,), ("dot",), each.port)


def parse_server(text: str) -> NameServer:
    """Read a name server.

    Raises:
        MalformedInput: it is none.
    """
    match = _SERVER.fullmatch(text)
    if match is None:
        raise MalformedInput(f"{text[:80]!r} is not a name server")
    port = None if match["port"] is None else int(match["port"])
    try:
        address = ip_address(match["bracketed"] or match["ipv4"] or match["bare"])
    except ValueError:
        raise MalformedInput(f"{text[:80]!r} has no address") from None
    if address.is_unspecified or port == 0 or (port or 0) > 65535:
        raise MalformedInput(f"{text[:80]!r} can't be asked")
    return NameServer(address, port, None if match["name"] is None else check_domain_name(match["name"]))


def parse_servers(texts: Iterable[str]) -> tuple[NameServer, ...]:
    """Read name servers, less those that are malformed."""
    return _unique(_wellformed(texts, parse_server))


def parse_domains(names: Iterable[str]) -> tuple[str, ...]:
    """Read domain names, less those that are malformed; without trailing dot, except for the root."""
    return _unique(_wellformed(names, lambda name: ROOT if name == ROOT else check_domain_name(name)))


def _wellformed(texts: Iterable[str], parse: Callable[[str], T]) -> Iterator[T]:
    for text in islice(texts, ENTRIES):
        try:
            yield parse(text)
        except MalformedInput:
            continue


def _unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
