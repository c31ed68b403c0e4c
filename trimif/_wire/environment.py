"""DHCP options as a client shows them to its script: one environment variable each, as text.

dhcpcd and udhcpc do so, with names of their own. Here the texts become the octets that the server sent, so that
there is one place only that says what an option means, and what is wrong with it. An encoder takes a text and gives
the content of its option, or raises `MalformedInput`; such an option is left out.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import TypeAlias

from trimif._errors import MalformedInput
from trimif._wire.domain_names import encode_name

__all__ = [
    "MAXIMUM_OCTETS",
    "Encode",
    "address6",
    "addresses4",
    "addresses6",
    "encode_options",
    "encoded",
    "hexadecimal",
    "names",
    "number",
    "plain_text",
    "routes",
    "split_variables",
]

MAXIMUM_OCTETS = 1 << 16
"""More than this one environment never has: two DHCP messages of 1,500 octets, several times the size as text."""

Encode: TypeAlias = Callable[[str], bytes]

_NUMBER = re.compile(r"[0-9]{1,10}")
_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2})*")
_LARGEST = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFFFFFF}


def split_variables(octets: bytes, separator: bytes) -> dict[str, str]:
    """Split ``name=value`` pieces; what has no ``=`` is left out, and of equal names the last counts.

    Raises:
        MalformedInput: it is longer than any environment of a client.
    """
    if len(octets) > MAXIMUM_OCTETS:
        raise MalformedInput(f"{len(octets)} octets are no environment of a DHCP client")
    pieces = (piece.partition("=") for piece in octets.decode("latin-1").split(separator.decode()))
    return {name: value for name, equals, value in pieces if name and equals}


def encode_options(variables: Mapping[str, str], table: Mapping[str, tuple[int, Encode]]) -> dict[int, bytes]:
    """The options that the variables show, content by code. Never fails.

    Args:
        table: code and encoder by the name of the variable; of several for one code the first that is good counts.
    """
    options: dict[int, bytes] = {}
    for name, (code, encode) in table.items():
        octets = encoded(encode, variables.get(name))
        if octets and code not in options:
            options[code] = octets
    return options


def encoded(encode: Encode, text: str | None) -> bytes:
    """The octets of a text; none where it is missing, or wrong."""
    if not text:
        return b""
    try:
        return encode(text)
    except MalformedInput:
        return b""


# ---------------------------------------------------------------- encoders


def addresses4(text: str) -> bytes:
    """IPv4 addresses with blanks between them."""
    return b"".join(_address4(word).packed for word in text.split())


def _address4(word: str) -> IPv4Address:
    try:
        return IPv4Address(word)
    except ValueError:
        raise MalformedInput(f"{word!r} is not an IPv4 address") from None


def addresses6(text: str) -> bytes:
    """IPv6 addresses with blanks between them."""
    return b"".join(address6(word).packed for word in text.split())


def address6(word: str) -> IPv6Address:
    """Read an address, without the zone that follows a link-local one.

    Raises:
        MalformedInput: it is none.
    """
    try:
        return IPv6Address(word.partition("%")[0])
    except ValueError:
        raise MalformedInput(f"{word!r} is not an IPv6 address") from None


def number(size: int) -> Encode:
    """Make the encoder of a decimal number of so many octets."""

    def encode(text: str) -> bytes:
        if not _NUMBER.fullmatch(text) or int(text) > _LARGEST[size]:
            raise MalformedInput(f"{text!r} is not a number of {size} octets")
        return int(text).to_bytes(size, "big")

    return encode


def hexadecimal(text: str) -> bytes:
    """Octets, two digits each."""
    if not _HEXADECIMAL.fullmatch(text):
        raise MalformedInput(f"{text!r} are not octets in hexadecimal")
    return bytes.fromhex(text)


def plain_text(text: str) -> bytes:
    """Text, as it is."""
    return text.encode("latin-1", "replace")


def names(text: str) -> bytes:
    """Domain names with blanks between them, uncompressed."""
    try:
        return b"".join(map(encode_name, text.split()))
    except ValueError as error:
        raise MalformedInput(str(error)) from None


def routes(text: str) -> bytes:
    """Destinations and routers in turns, ``203.0.113.0/24 198.51.100.1``, as option 121 (RFC 3442)."""
    words = text.split()
    if len(words) % 2:
        raise MalformedInput("a destination has no router")
    return b"".join(map(_route, words[::2], words[1::2]))


def _route(destination: str, router: str) -> bytes:
    try:
        network = IPv4Network(destination, strict=False)
    except ValueError:
        raise MalformedInput(f"{destination!r} is not a destination") from None
    significant = network.network_address.packed[: (network.prefixlen + 7) // 8]
    return struct.pack("!B", network.prefixlen) + significant + _address4(router).packed
