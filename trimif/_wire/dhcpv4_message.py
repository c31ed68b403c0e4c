"""Whole DHCPv4 messages (RFC 2131, 2): a BOOTP header of 236 octets, a magic cookie, and options.

Options may go on in the header's fields for file and server name (option 52, "overload").
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Final

from attrs import field, frozen

from trimif._model import Value
from trimif._wire.dhcp_values import expect
from trimif._wire.dhcpv4_options import split_options

__all__ = ["ACK", "INFORM", "DHCPv4Message", "encode_message", "parse_message"]

BOOT_REQUEST: Final = 1
BOOT_REPLY: Final = 2
ACK: Final = 5
INFORM: Final = 8

OVERLOAD: Final = 52
MESSAGE_TYPE: Final = 53
END: Final = 255

_COOKIE = bytes((99, 130, 83, 99))
# op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file
_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_BOOTP_OCTETS = 300  # some relays drop what is shorter (RFC 1542, 2.1)
_OPTION_OCTETS = 255
_NOBODY = IPv4Address(0)


@frozen(repr=False)
class DHCPv4Message(Value):
    """A message. Those that clients send differ in their header only by what is here.

    Attributes:
        reply: a server sent it (``op``).
        kind: option 53, for example `ACK`; 0 without one: plain BOOTP.
        transaction: ``xid``.
        client_address: ``ciaddr``, which the client has already.
        your_address: ``yiaddr``, which the client gets.
        hardware_address: ``chaddr``, at most 16 octets.
        hardware_type: ``htype``; 1 for Ethernet.
        options: content by code, put together.
    """

    reply: bool
    kind: int
    transaction: int
    client_address: IPv4Address = _NOBODY
    your_address: IPv4Address = _NOBODY
    hardware_address: bytes = b""
    hardware_type: int = 1
    options: Mapping[int, bytes] = field(factory=dict)


def parse_message(octets: bytes) -> DHCPv4Message:
    """Parse a message of either direction.

    Raises:
        MalformedInput: it is no DHCPv4 message, or one of its options is cut short.
    """
    expect(len(octets) >= _HEADER.size, f"{len(octets)} octets are too few for a DHCPv4 message")
    header = _HEADER.unpack_from(octets)
    operation, hardware_type, hardware_octets, _hops, transaction = header[:5]
    client, yours, hardware, server_name, file, cookie = header[7], header[8], *header[11:]
    expect(cookie == _COOKIE, "the magic cookie is not that of DHCP")
    expect(operation in (BOOT_REQUEST, BOOT_REPLY), f"{operation} is neither request nor reply")
    expect(hardware_octets <= 16, f"a hardware address of {hardware_octets} octets does not fit")
    options = _options(octets[_HEADER.size :], file, server_name)
    return DHCPv4Message(
        reply=operation == BOOT_REPLY,
        kind=int.from_bytes(options.get(MESSAGE_TYPE, b"")[:1], "big"),
        transaction=transaction,
        client_address=IPv4Address(client),
        your_address=IPv4Address(yours),
        hardware_address=hardware[:hardware_octets],
        hardware_type=hardware_type,
        options=options,
    )


def _options(octets: bytes, file: bytes, server_name: bytes) -> dict[int, bytes]:
    """RFC 2131, 4.1: first the options field, "then the 'file' field and finally the 'sname' field"."""
    options = dict(split_options(octets))
    overload = options.get(OVERLOAD, b"\0")[:1]
    rows = [row for row, values in ((file, b"\1\3"), (server_name, b"\2\3")) if overload and overload in values]
    for row in rows:
        for code, content in split_options(row):
            options[code] = options.get(code, b"") + content
    return options


def encode_message(message: DHCPv4Message) -> bytes:
    """Encode a message, padded to what BOOTP asks for; its kind comes first, long options are split (RFC 3396)."""
    header = _HEADER.pack(
        BOOT_REPLY if message.reply else BOOT_REQUEST,
        message.hardware_type,
        len(message.hardware_address),
        0,
        message.transaction,
        0,
        0,
        message.client_address.packed,
        message.your_address.packed,
        bytes(4),
        bytes(4),
        message.hardware_address,
        b"",
        b"",
        _COOKIE,
    )
    options = {MESSAGE_TYPE: bytes([message.kind]), **message.options}
    row = b"".join(_encode_option(code, content) for code, content in options.items())
    return (header + row + bytes([END])).ljust(_BOOTP_OCTETS, b"\0")


def _encode_option(code: int, content: bytes) -> bytes:
    pieces = [content[start : start + _OPTION_OCTETS] for start in range(0, len(content) or 1, _OPTION_OCTETS)]
    return b"".join(bytes([code, len(piece)]) + piece for piece in pieces)
