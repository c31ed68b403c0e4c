"""Whole DHCPv6 messages between client and server (RFC 8415, 8): type, transaction id, options."""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

from trimif._model import Value
from trimif._wire.dhcp_values import expect
from trimif._wire.dhcpv6_options import Option, split_options

__all__ = ["INFORMATION_REQUEST", "REPLY", "DHCPv6Message", "encode_message", "parse_message"]

REPLY: Final = 7
INFORMATION_REQUEST: Final = 11
RELAY_FORW: Final = 12
RELAY_REPL: Final = 13

_HEADER = struct.Struct("!I")  # the type's octet and three of the transaction id
_OPTION = struct.Struct("!HH")


@frozen(repr=False)
class DHCPv6Message(Value):
    """A message between client and server.

    Attributes:
        kind: for example `REPLY`.
        transaction: 24 bits.
        options: code and content, in their order.
    """

    kind: int
    transaction: int
    options: tuple[Option, ...] = ()

    def first(self, code: int) -> bytes | None:
        """The content of the first option of that code, None without one."""
        return next((content for each, content in self.options if each == code), None)


def parse_message(octets: bytes) -> DHCPv6Message:
    """Parse a message of either direction.

    Raises:
        MalformedInput: an option is cut short, or it is a relay's message, which no client gets.
    """
    expect(len(octets) >= _HEADER.size, f"{len(octets)} octets are too few for a DHCPv6 message")
    kind, transaction = octets[0], int.from_bytes(octets[1:4], "big")
    expect(kind not in (RELAY_FORW, RELAY_REPL), "a message between relays and servers")
    return DHCPv6Message(kind, transaction, tuple(split_options(octets[_HEADER.size :])))


def encode_message(message: DHCPv6Message) -> bytes:
    """Encode a message."""
    options = b"".join(_OPTION.pack(code, len(content)) + content for code, content in message.options)
    return _HEADER.pack(message.kind << 24 | message.transaction) + options
