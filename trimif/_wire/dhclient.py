r"""The lease file of ISC dhclient: :manpage:`dhclient.leases(5)`, format in :manpage:`dhclient.conf(5)`.

The file is a log. dhclient appends a ``lease { … }`` block whenever a lease is acquired, renewed or released, and
the last one for an interface counts; now and then it rewrites the file in place. So a reader may see a last block
that is half written: it is ignored, wholly. Blocks of other kinds (``lease6``, ``alias``) are skipped.

Statements are words and quoted strings, ended by semicolons. Times are in UTC, ``6 2026/11/21 13:17:29`` with the
weekday first, or ``epoch 1795353449``, or ``never``. A released lease is one that expires at once; an expired one
stays in the file. Option 121 has no name of its own in ISC's tables, so it appears under the name that the
configuration gives it, as decimal octets, as ``unknown-121`` in hexadecimal octets, or, with some vendors' patch,
as pairs of destination descriptor and router.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import TypeAlias

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._model import Origin, Route
from trimif._wire import dhcpv4_options as dhcpv4

__all__ = ["parse_leases"]

Statement: TypeAlias = Sequence[str]
"""The words of a statement; a quoted string keeps its opening quote, so that it can be told from a word."""

_TOKEN = re.compile(
    r"""
    (?P<blank> [ \t\r\n]+ | \#[^\n]*(?:\n|\Z) )
    | (?P<string> "(?:[^"\\]|\\.)*" )
    | (?P<unfinished> "(?:[^"\\]|\\.)*\\?\Z )
    | (?P<mark> [{};] )
    | (?P<word> (?: [!$-+\--:<-z|~] )+ )
    | (?P<comma> , )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_DIGITS = re.compile(r"[0-9a-fA-F]{1,19}")
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n", "b": "\b"}

_CLASSLESS_ROUTES = (
    "rfc3442-classless-static-routes",
    "classless-static-routes",
    "rfc3442-classless-routes",
    "classless-routes",
    "unknown-121",
    "option-121",
)


def parse_leases(text: str, deadline: Callable[[datetime], float]) -> tuple[Lease, ...]:
    """Parse a lease file: the last lease of each interface, in the order in which the interfaces first appear.

    Expired and released leases are there too, with a deadline that has passed: only they tell that an interface
    had a lease and gave it up. Dropping them is the caller's, who knows the time.

    Args:
        deadline: turns a time (aware, UTC) into `Lease.valid_until`.

    Raises:
        MalformedInput: the text is not a lease file, or a lease lacks interface, address or expiry.
    """
    leases = {}
    for block in _lease_blocks(_tokens(text)):
        lease = _lease(block, deadline)
        leases[lease.interface] = lease
    return tuple(leases.values())


# ---------------------------------------------------------------- text to statements


def _tokens(text: str) -> Iterator[str]:
    """Words, strings with their opening quote and without the closing one, braces and semicolons."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise MalformedInput(f"{text[position]!r} at offset {position} does not belong into a lease file")
        position = token.end()
        if token.lastgroup == "unfinished":
            return
        if token.lastgroup == "string":
            yield '"' + _unescape(token.group()[1:-1])
        elif token.lastgroup in ("mark", "word"):
            yield token.group()


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_unescape_one, text)


def _unescape_one(escape: re.Match[str]) -> str:
    code = escape[1]
    if len(code) == 3:
        return chr(int(code, 8))
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)


def _lease_blocks(tokens: Iterator[str]) -> Iterator[list[Statement]]:
    """The statements of each finished block called ``lease``; deeper blocks are skipped."""
    depth = 0
    wanted = False
    words: list[str] = []
    statements: list[Statement] = []
    for token in tokens:
        if token not in ("{", "}", ";"):
            words.append(token)
            continue
        if token == "{":
            if depth == 0:
                wanted, statements = words == ["lease"], []
            depth += 1
        elif token == ";" and depth == 1:
            statements.append(tuple(words))
        elif token == "}":
            depth -= 1
            _require(depth >= 0, "a brace is closed that was not opened")
            if depth == 0 and wanted:
                yield statements
        words = []


# ---------------------------------------------------------------- statements to a lease


def _lease(block: Sequence[Statement], deadline: Callable[[datetime], float]) -> Lease:
    plain = {statement[0]: statement[1:] for statement in block if statement and statement[0] != "option"}
    options = {statement[1]: statement[2:] for statement in block if len(statement) > 1 and statement[0] == "option"}
    server = dhcpv4.optional(_address, options.get("dhcp-server-identifier"), None)
    return Lease(
        interface=dhcpv4.check_interface_name(_one(plain.get("interface", ())).removeprefix('"')),
        origin=Origin("dhclient", server),
        address=_address(plain.get("fixed-address", ())),
        # RFC 2132 lets the mask be missing; dhclient's script then sets the bare address.
        prefix_length=dhcpv4.optional(_prefix_length, options.get("subnet-mask"), 32),
        valid_until=_time(plain.get("expire", ()), deadline),
        routers=dhcpv4.optional(dhcpv4.addresses, options.get("routers"), ()),
        routes=_routes(options),
        dns_servers=dhcpv4.optional(dhcpv4.addresses, options.get("domain-name-servers"), ()),
        search_domains=_search_domains(options),
        ntp_servers=dhcpv4.optional(dhcpv4.addresses, options.get("ntp-servers"), ()),
        mtu=dhcpv4.optional(_mtu, options.get("interface-mtu"), None),
    )


def _require(met: bool, fault: str) -> None:
    if not met:
        raise MalformedInput(fault)


def _one(words: Statement) -> str:
    _require(len(words) == 1, f"one value was to be there, not {' '.join(words)!r}")
    return words[0]


def _address(words: Statement) -> IPv4Address:
    return dhcpv4.address(_one(words))


def _prefix_length(words: Statement) -> int:
    return dhcpv4.prefix_length(_one(words))


def _number(word: str, base: int = 10) -> int:
    _require(bool(_DIGITS.fullmatch(word)), f"{word!r} is not a number")
    try:
        return int(word, base)
    except ValueError:
        raise MalformedInput(f"{word!r} is not a number to the base of {base}") from None


def _mtu(words: Statement) -> int:
    return dhcpv4.interface_mtu(_number(_one(words)))


def _time(words: Statement, deadline: Callable[[datetime], float]) -> float:
    if tuple(words) == ("never",):
        return math.inf
    try:
        if len(words) == 2 and words[0] == "epoch":
            return deadline(datetime.fromtimestamp(_number(words[1]), UTC))
        _weekday, date, time = words
        return deadline(datetime.strptime(f"{date} {time}", "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC))
    except (ValueError, OverflowError, OSError):
        raise MalformedInput(f"{' '.join(words)!r} is not a time") from None


def _search_domains(options: Mapping[str, Statement]) -> tuple[str, ...]:
    """Option 119, else option 15, which servers also use for several names with blanks between them."""
    found = dhcpv4.optional(_names, options.get("domain-search"), ())
    return found or dhcpv4.optional(_names, options.get("domain-name"), ())


def _names(words: Statement) -> tuple[str, ...]:
    return dhcpv4.search_domains(name for word in words for name in word.removeprefix('"').split())


def _routes(options: Mapping[str, Statement]) -> tuple[Route, ...]:
    value = next((options[name] for name in _CLASSLESS_ROUTES if name in options), None)
    return dhcpv4.optional(_classless_routes, value, ())


def _classless_routes(words: Statement) -> tuple[Route, ...]:
    return dhcpv4.classless_routes(b"".join(_route_octets(word) for word in words))


def _route_octets(word: str) -> bytes:
    """The octets of a printed word: a string, hexadecimal ``1a:cb:0``, or decimal ``26``, ``26.203.0.113``."""
    if word.startswith('"'):
        octets = [ord(character) for character in word[1:]]
    elif ":" in word:
        octets = [_number(part, 16) for part in word.split(":")]
    else:
        octets = [_number(part) for part in word.split(".")]
    _require(all(0 <= octet <= 255 for octet in octets), f"{word!r} is not a row of octets")
    return bytes(octets)
