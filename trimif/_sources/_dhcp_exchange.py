"""One question to a network's DHCP servers: sent, sent again, and answered.

A socket on the client's port gets what is sent to that port, so another client on the host could miss an answer to
itself. Hence it is open only while an answer is due, for `ANSWER_SECONDS` after each question. Ports below 1024 need
CAP_NET_BIND_SERVICE; SO_REUSEADDR shares them with clients that allow it.
"""

from __future__ import annotations

import errno
import fcntl
import random
import secrets
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Generic, TypeAlias, TypeVar

import trio
from attrs import frozen

from trimif._errors import MalformedInput
from trimif._wire import dhcp_questions as wire
from trimif._wire.dhcp_questions import LONGEST_WAIT, LinkLayerAddress
from trimif._wire.dhcpv4_message import DHCPv4Message
from trimif._wire.dhcpv6_message import DHCPv6Message

__all__ = ["Asker", "Refused", "ask", "ask_dhcpv4", "ask_dhcpv6"]

ANSWER_SECONDS = 4.0
"""Servers answer within milliseconds, unless they look first whether an address is free, which needs a lease."""
DATAGRAM_OCTETS = 65535
SO_BINDTOIFINDEX = 62  # asm-generic/socket.h; the socket module has no name for it
SIOCGIFHWADDR = 0x8927  # netdevice(7)

CLIENT_PORT_V4, SERVER_PORT_V4 = 68, 67
CLIENT_PORT_V6, SERVER_PORT_V6 = 546, 547
ALL_SERVERS = "ff02::1:2"  # All_DHCP_Relay_Agents_and_Servers (RFC 8415, 7.1)

_HARDWARE_OCTETS = {1: 6}  # by ARP's hardware type; of others DHCP is not told the address (RFC 4390)
_HARDWARE = struct.Struct("=16sH14s8x")  # struct ifreq with a struct sockaddr

T = TypeVar("T")
Where: TypeAlias = tuple[Any, ...]
Malformed: TypeAlias = Callable[[MalformedInput], None]


class Refused(Exception):
    """This host does not let us ask; says why."""


@frozen
class Asker(Generic[T]):
    """How a family asks and is answered."""

    family: socket.AddressFamily
    bound_to: Where
    servers: Where
    index: int
    interface: str
    question: Callable[[int, float, LinkLayerAddress], bytes]
    parse: Callable[[bytes, int, LinkLayerAddress], T]

    @contextmanager
    def open(self) -> Iterator[trio.socket.SocketType]:
        """A socket on the client's port; raises OSError."""
        with socket.socket(self.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            plain.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, self.index)
            plain.bind(self.bound_to)
            yield trio.socket.from_stdlib_socket(plain)


def ask_dhcpv4(index: int, interface: str, address: IPv4Address) -> Asker[DHCPv4Message]:
    """Ask by DHCPINFORM, from an address that the interface has."""
    return Asker(
        socket.AF_INET,
        (str(address), CLIENT_PORT_V4),
        ("255.255.255.255", SERVER_PORT_V4),
        index,
        interface,
        lambda transaction, _elapsed, link: wire.inform(transaction, address, link),
        wire.parse_inform_answer,
    )


def ask_dhcpv6(index: int, interface: str, link_local: IPv6Address) -> Asker[DHCPv6Message]:
    """Ask by Information-Request, from the interface's link-local address."""
    return Asker(
        socket.AF_INET6,
        (str(link_local), CLIENT_PORT_V6, 0, index),
        (ALL_SERVERS, SERVER_PORT_V6, 0, index),
        index,
        interface,
        wire.information_request,
        wire.parse_information_answer,
    )


async def ask(asker: Asker[T], note_malformed: Malformed, longest: float = LONGEST_WAIT) -> tuple[T, str]:
    """Ask until a server answers: the first answer, and the address that it came from.

    Transaction ids are random, and the same for all of one exchange. No network, or an address that is gone just
    now, is like no answer.

    Args:
        note_malformed: is told of what came from a server's port and is no answer.
        longest: wait between two questions, seconds (INF_MAX_RT); DHCPv6 only.

    Raises:
        Refused: the port can't be had.
    """
    version6 = asker.family == socket.AF_INET6
    waits = wire.dhcpv6_waits(random.uniform, longest) if version6 else wire.dhcpv4_waits(random.uniform)
    transaction, began = secrets.randbits(24 if version6 else 32), trio.current_time()
    for seconds in waits:
        asked = trio.current_time()
        try:
            with trio.move_on_at(asked + min(seconds, ANSWER_SECONDS)):
                return await _ask_once(asker, transaction, asked - began, note_malformed)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EADDRINUSE):
                raise Refused(error.strerror) from error
        await trio.sleep_until(asked + seconds)
    raise AssertionError("waits have no end")


async def _ask_once(asker: Asker[T], transaction: int, elapsed: float, note_malformed: Malformed) -> tuple[T, str]:
    with asker.open() as opened:
        link = _link_layer_address(opened, asker.interface)
        await opened.sendto(asker.question(transaction, elapsed, link), asker.servers)
        while True:
            octets, sender = await opened.recvfrom(DATAGRAM_OCTETS)
            if sender[1] != asker.servers[1]:
                continue
            try:
                return asker.parse(octets, transaction, link), sender[0]
            except MalformedInput as fault:
                note_malformed(fault)


def _link_layer_address(opened: trio.socket.SocketType, interface: str) -> LinkLayerAddress:
    request = _HARDWARE.pack(interface.encode(), 0, b"")
    _name, kind, octets = _HARDWARE.unpack(fcntl.ioctl(opened.fileno(), SIOCGIFHWADDR, request))
    return LinkLayerAddress(kind, octets[: _HARDWARE_OCTETS.get(kind, 0)])
