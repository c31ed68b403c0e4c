"""Netlink framing (RFC 3549, Linux's ``linux/netlink.h``): datagrams, messages, attributes, and how dumps end.

A datagram carries messages; a message is a header of 16 octets (length, type, flags, sequence, port id) and a body;
a body is a fixed structure of its type followed by attributes, each a header of 4 octets (length, type) and a
payload; all are padded to 4 octets and in the byte order of the machine. What the messages of rtnetlink say is told
in `netlink_facts`; what is asked of the kernel is built in `netlink_requests`.

The kernel answers a dump with messages that carry the request's sequence number and the asker's port id, and ends it
with NLMSG_DONE, or with NLMSG_ERROR if it refuses. NLM_F_DUMP_INTR on any of them says that the table changed
meanwhile, so that entries may be missing from the dump.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from trimif._errors import MalformedInput

__all__ = [
    "AF_INET",
    "AF_INET6",
    "AF_UNSPEC",
    "NLMSG_DONE",
    "NLMSG_ERROR",
    "NLM_F_DUMP_INTR",
    "Message",
    "attributes",
    "error_number",
    "messages",
]

AF_UNSPEC = 0
AF_INET = 2
AF_INET6 = 10

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLM_F_DUMP_INTR = 0x10

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER


class Message(NamedTuple):
    """One netlink message.

    Attributes:
        kind: the message's type, for example RTM_NEWLINK.
        flags: NLM_F_…
        sequence: of the request that it answers; 0 for an event.
        port: the port id of the socket that asked; 0 for an event that nobody asked for.
        body: what follows the header, without padding.
    """

    kind: int
    flags: int
    sequence: int
    port: int
    body: bytes


def messages(datagram: bytes) -> Iterator[Message]:
    """Split a datagram into its messages.

    Raises:
        MalformedInput: a header is cut off, or tells a length that is impossible. Messages before it were given.
    """
    offset, end = 0, len(datagram)
    while offset < end:
        if offset + 16 > end:
            raise MalformedInput(f"a netlink header is cut off after {end - offset} octets")
        length, kind, flags, sequence, port = _HEADER.unpack_from(datagram, offset)
        if length < 16 or offset + length > end:
            raise MalformedInput(f"a netlink message of {length} octets is in {end - offset}")
        yield Message(kind, flags, sequence, port, datagram[offset + 16 : offset + length])
        offset += (length + 3) & ~3


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Read the attributes from `offset` on: type to payload. Of a type that comes twice, the last one counts.

    Raises:
        MalformedInput: an attribute tells a length that is impossible.
    """
    found: dict[int, bytes] = {}
    end = len(body)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < 4 or offset + length > end:
            raise MalformedInput(f"a netlink attribute of {length} octets is in {end - offset}")
        found[kind & _TYPE_MASK] = body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def error_number(message: Message) -> int:
    """The errno in an NLMSG_ERROR or NLMSG_DONE message; 0 for success.

    Raises:
        MalformedInput: the message is cut off, or tells no errno.
    """
    if message.kind == NLMSG_DONE and len(message.body) < 4:
        return 0  # kernels before 4.13 say nothing there
    if len(message.body) < 4:
        raise MalformedInput(f"a netlink error of {len(message.body)} octets is cut off")
    (number,) = _ERROR.unpack_from(message.body)
    if not -4095 <= number <= 0:
        raise MalformedInput(f"a netlink error tells the number {number}")
    return -int(number)
