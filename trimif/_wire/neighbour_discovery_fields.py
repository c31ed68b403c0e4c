"""Fields that the messages and options of neighbour discovery share: lifetimes, preferences, prefixes, frames.

Lifetimes on the wire are seconds from now; in facts they are deadlines: 0 becomes `now` itself, which withdraws,
and ffffffff becomes ``math.inf``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from ipaddress import IPv6Network
from typing import Any

from trimif._errors import MalformedInput

__all__ = [
    "INFINITE",
    "OPTION_OCTETS",
    "PREFERENCES",
    "PREFERENCE_BITS",
    "PREFERENCE_MASK",
    "deadline",
    "expect",
    "frame",
    "lifetime",
    "network",
    "pack",
    "split",
]

INFINITE = 0xFFFFFFFF
OPTION_OCTETS = 8 * 255 - 2  # of an option's content, at most

PREFERENCE_BITS = {1: 0b01 << 3, 0: 0, -1: 0b11 << 3}  # RFC 4191, 2.1; 10 is reserved
PREFERENCES = {bits: preference for preference, bits in PREFERENCE_BITS.items()}
PREFERENCE_MASK = 0b11 << 3


def expect(met: bool, fault: str) -> None:
    """Raise `MalformedInput` unless it is met."""
    if not met:
        raise MalformedInput(fault)


def deadline(seconds: int, now: float) -> float:
    """The deadline of a lifetime of 32 bits."""
    return math.inf if seconds == INFINITE else now + seconds


def lifetime(until: float, now: float) -> int:
    """The way back; never below zero."""
    return INFINITE if until == math.inf else max(0, min(round(until - now), INFINITE - 1))


def network(packed: bytes, prefix_length: int) -> IPv6Network:
    """ "The bits in the prefix after the prefix length are reserved and MUST be … ignored" (RFC 4861, 4.6.2)."""
    expect(prefix_length <= 128, f"a prefix has {prefix_length} bits")
    return IPv6Network((packed.ljust(16, b"\0"), prefix_length), strict=False)


def split(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Each option's type, and its content: what follows the octets of type and length.

    Raises:
        MalformedInput: an option has length zero, or overruns `octets`.
    """
    offset = 0
    while offset < len(octets):
        if offset + 2 > len(octets) or not (length := 8 * octets[offset + 1]):
            raise MalformedInput(f"the option at octet {offset} has no length, or length zero")
        if offset + length > len(octets):
            raise MalformedInput(f"the option at octet {offset} overruns the message")
        yield octets[offset], octets[offset + 2 : offset + length]
        offset += length


def frame(kind: int, content: bytes) -> bytes:
    """An option of that type, padded to a multiple of eight octets.

    Raises:
        ValueError: the content is longer than an option can be, or the type is not an octet.
    """
    if len(content) > OPTION_OCTETS:
        raise ValueError(f"{len(content)} octets are too many for an option of a router advertisement")
    length = math.ceil((2 + len(content)) / 8)
    return bytes([kind, length]) + content.ljust(8 * length - 2, b"\0")


def pack(layout: struct.Struct, *values: Any) -> bytes:
    """Pack numbers from outside; ``struct.error`` is no exception for those who made the value.

    Raises:
        ValueError: one of them does not fit its field.
    """
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise ValueError(f"a field of the router advertisement has no room for its value: {error}") from None
