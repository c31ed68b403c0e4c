"""Router advertisements as dhcpcd shows them: every router of an interface that has not expired, with its options.

``nd1_`` is the first router, ``nd1_rdnss2_servers`` the name servers in the second option 25 that it sent. dhcpcd
keeps the last advertisement of each. It is put together again here as the message that the router sent, and parsed
as one that came by a socket. Reachable time, retransmission time and options that dhcpcd has no name for are missing.

dhcpcd says when it received the advertisement, and what time it was when it said so, in whole seconds of a clock of
its own: lifetimes count from then.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address

from trimif._errors import MalformedInput
from trimif._facts import RouterAdvertisement
from trimif._wire import environment
from trimif._wire.dhcpcd import Statement
from trimif._wire.neighbour_discovery import ROUTER_ADVERTISEMENT, parse_router_advertisement

__all__ = ["router_advertisements"]

MANY = 64
"""More routers on a link, or options of one kind, are not looked at."""

_FLAGS = {"M": 0x80, "O": 0x40, "H": 0x20, "h": 0x08, "l": 0x18, "P": 0x04}
_PREFIX_FLAGS = {"L": 0x80, "A": 0x40, "H": 0x20}
_ROUTE_PREFERENCES = {"": 0x00, "1": 0x08, "11": 0x18}

_octet = environment.number(1)
_short = environment.number(2)
_seconds = environment.number(4)


class _Router:
    """The variables of one router, without their prefix."""

    def __init__(self, variables: Mapping[str, str], prefix: str) -> None:
        self._variables = variables
        self._prefix = prefix

    def get(self, name: str, default: str = "") -> str:
        return self._variables.get(f"{self._prefix}_{name}", default)

    def numbered(self, name: str, field: str) -> Iterator[str]:
        """The names of options of one kind: ``rdnss1``, ``rdnss2``, …"""
        for number in range(1, MANY + 1):
            if f"{self._prefix}_{name}{number}_{field}" not in self._variables:
                return
            yield f"{name}{number}"

    @property
    def address(self) -> IPv6Address:
        return environment.address6(self.get("from"))

    @property
    def age(self) -> int:
        """For how many seconds its last advertisement has been known."""
        acquired, now = (int.from_bytes(_seconds(self.get(name)), "big") for name in ("acquired", "now"))
        return max(0, now - acquired)


def router_advertisements(statement: Statement, index: int, now: float) -> tuple[RouterAdvertisement, ...]:
    """What each router of an interface advertised last. Those that are not there any more are not listed.

    Args:
        index: of the interface.
        now: when dhcpcd said so, in seconds on the clock of the deadlines.

    Raises:
        MalformedInput: an advertisement lacks its router, or what a header has to have.
    """
    told = []
    for number in range(1, MANY + 1):
        if f"nd{number}_from" not in statement.variables:
            break
        router = _Router(statement.variables, f"nd{number}")
        octets = _header(router) + b"".join(_options(router))
        told.append(parse_router_advertisement(index, router.address, octets, now - router.age))
    return tuple(told)


def _header(router: _Router) -> bytes:
    flags = _bits(router.get("flags"), _FLAGS)
    hop_limit, lifetime = _octet(router.get("hoplimit")), _short(router.get("lifetime"))
    return struct.pack("!BBH", ROUTER_ADVERTISEMENT, 0, 0) + hop_limit + bytes([flags]) + lifetime + bytes(8)


def _bits(letters: str, meaning: Mapping[str, int]) -> int:
    bits = 0
    for letter in letters:
        bits |= meaning.get(letter, 0)
    return bits


def _options(router: _Router) -> Iterator[bytes]:
    """The options; one whose content is wrong is left out."""
    for encode, kind, field in (
        (_mtu, "mtu", ""),
        (_prefix, "prefix_information", "prefix"),
        (_route, "route_information", "length"),
        (_name_servers, "rdnss", "servers"),
        (_search_list, "dnssl", "search"),
    ):
        for name in router.numbered(kind, field) if field else [kind]:
            yield _unless_malformed(encode, router, name)


def _unless_malformed(encode: Callable[[_Router, str], bytes], router: _Router, name: str) -> bytes:
    try:
        return encode(router, name)
    except MalformedInput:
        return b""


def _mtu(router: _Router, name: str) -> bytes:
    return _option(5, bytes(2) + _seconds(router.get(f"{name}_mtu") or router.get(name)))


def _prefix(router: _Router, name: str) -> bytes:
    length, valid, preferred = (router.get(f"{name}_{field}") for field in ("length", "vltime", "pltime"))
    flags = _bits(router.get(f"{name}_flags"), _PREFIX_FLAGS)
    head = _octet(length) + bytes([flags]) + _seconds(valid) + _seconds(preferred) + bytes(4)
    return _option(3, head + environment.addresses6(router.get(f"{name}_prefix").split(" ")[0]))


def _route(router: _Router, name: str) -> bytes:
    """dhcpcd 10 and later; of the two bits of the preference it shows those that are set, each as ``1``."""
    preference = _ROUTE_PREFERENCES.get(router.get(f"{name}_prf"), 0)
    head = _octet(router.get(f"{name}_length")) + bytes([preference]) + _seconds(router.get(f"{name}_lifetime"))
    return _option(24, head + environment.addresses6(router.get(f"{name}_prefix")))


def _name_servers(router: _Router, name: str) -> bytes:
    servers = environment.addresses6(router.get(f"{name}_servers"))
    return _option(25, bytes(2) + _seconds(router.get(f"{name}_lifetime")) + servers)


def _search_list(router: _Router, name: str) -> bytes:
    domains = environment.names(router.get(f"{name}_search"))
    return _option(31, bytes(2) + _seconds(router.get(f"{name}_lifetime")) + domains)


def _option(code: int, octets: bytes) -> bytes:
    """An option of whole units of 8 octets; what would be too long for one is left out."""
    units = (2 + len(octets) + 7) // 8
    return bytes([code, units]) + octets.ljust(8 * units - 2, b"\0") if units < 256 else b""
