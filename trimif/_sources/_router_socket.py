"""The raw ICMPv6 socket that hears router advertisements and sends solicitations, and who can be solicited.

It needs CAP_NET_RAW. Every interface that is up is a member of the all-nodes group ff02::1, so nothing has to be
joined. The kernel verifies the checksum.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path

from attrs import frozen

from trimif._wire.neighbour_discovery import ROUTER_ADVERTISEMENT, router_solicitation

__all__ = ["HOP_LIMIT", "Datagram", "open_router_socket", "ready_interfaces", "receive", "send_solicitation"]

ALL_ROUTERS = "ff02::2"
HOP_LIMIT = 255
BATCH = 64
"""Not more datagrams than this are read in one wake-up: a flood must not starve the other tasks."""
RECEIVE_BUFFER = 4 << 20
"""In octets. The kernel counts 2.3 kB for an advertisement of 700: its usual buffer holds the answers of 90 links."""

SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>

ICMP6_FILTER = 1  # <netinet/icmp6.h>; the constants below are of <net/if.h> and <linux/sockios.h>
SIOCGIFFLAGS = 0x8913
IFF_UP, IFF_LOOPBACK, IFF_MULTICAST = 0x1, 0x8, 0x1000
LINK_SCOPE = 0x20
TENTATIVE_OR_DUPLICATE = 0x40 | 0x08  # IFA_F_TENTATIVE, IFA_F_DADFAILED of <linux/if_addr.h>

NOT_READY = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL, errno.ENETUNREACH})

_PACKET_INFORMATION = struct.Struct("@16sI")
_HOP_LIMIT = struct.Struct("@i")
_INTERFACE_FLAGS = struct.Struct("@16sH14x")
_DATAGRAM_OCTETS = 65536
_ANCILLARY_OCTETS = socket.CMSG_SPACE(_PACKET_INFORMATION.size) + socket.CMSG_SPACE(_HOP_LIMIT.size)

logger = logging.getLogger(__name__)


@frozen
class Datagram:
    """What was received; `index` and `hop_limit` are -1 if the kernel did not tell."""

    octets: bytes
    router: IPv6Address
    index: int = -1
    hop_limit: int = -1


def open_router_socket() -> socket.socket:
    """Open a socket that hears router advertisements only, and sends with hop limit 255. The caller closes it.

    Raises:
        OSError: the privilege is missing, or IPv6 is.
    """
    listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    try:
        blocked = [0xFFFFFFFF] * 8
        blocked[ROUTER_ADVERTISEMENT // 32] &= ~(1 << ROUTER_ADVERTISEMENT % 32)
        listener.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("@8I", *blocked))
        for option in (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVPKTINFO):
            listener.setsockopt(socket.IPPROTO_IPV6, option, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        listener.setblocking(False)
        _enlarge_buffer(listener)
    except BaseException:
        listener.close()
        raise
    return listener


def _enlarge_buffer(listener: socket.socket) -> None:
    """With CAP_NET_ADMIN to what we ask for, without to what the system allows."""
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def receive(listener: socket.socket) -> Iterator[Datagram]:
    """The router advertisements that wait, at most a batch of them."""
    for _ in range(BATCH):
        try:
            octets, ancillary, flags, sender = listener.recvmsg(_DATAGRAM_OCTETS, _ANCILLARY_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        # Before the filter was set, something else may have come in.
        if octets[:1] == bytes([ROUTER_ADVERTISEMENT]) and not flags & socket.MSG_TRUNC:
            yield _datagram(octets, ancillary, IPv6Address(sender[0].partition("%")[0]))


def _datagram(octets: bytes, ancillary: Sequence[tuple[int, int, bytes]], router: IPv6Address) -> Datagram:
    index = hop_limit = -1
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_HOPLIMIT:
            (hop_limit,) = _HOP_LIMIT.unpack(data)
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            _destination, index = _PACKET_INFORMATION.unpack(data)
    return Datagram(octets, router, index, hop_limit)


def send_solicitation(sender: socket.socket, index: int) -> bool:
    """Send one solicitation by the interface; the kernel takes its link-local address as the source.

    Returns:
        Whether trying again makes sense: not where the interface is down, gone, or without a usable address, which
        is everyday life; when it is ready again, somebody asks for it again.
    """
    leave_by = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PACKET_INFORMATION.pack(bytes(16), index))
    try:
        sender.sendmsg([router_solicitation()], [leave_by], 0, (ALL_ROUTERS, 0, 0, index))
    except OSError as error:
        logger.debug("no router solicitation by interface %d: %s", index, error)
        return error.errno not in NOT_READY
    return True


def ready_interfaces(any_socket: socket.socket) -> set[int]:
    """Interfaces that are up, can multicast, are not the loopback interface, and have a usable link-local address.

    Of the calling thread's network namespace: where the socket was opened just now.
    """
    indices = set()
    with suppress(OSError):  # no /proc: the MIF asks for each interface that it sees
        for line in Path("/proc/thread-self/net/if_inet6").read_text().splitlines():
            *numbers, name = line.split(maxsplit=5)
            index, _length, scope, flags = (int(number, 16) for number in numbers[1:])
            if scope == LINK_SCOPE and not flags & TENTATIVE_OR_DUPLICATE and _can_solicit(any_socket, name):
                indices.add(index)
    return indices


def _can_solicit(any_socket: socket.socket, name: str) -> bool:
    request = _INTERFACE_FLAGS.pack(name.encode(), 0)
    try:
        _name, flags = _INTERFACE_FLAGS.unpack_from(fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
    except OSError:  # gone meanwhile
        return False
    return bool(flags & (IFF_UP | IFF_MULTICAST | IFF_LOOPBACK) == IFF_UP | IFF_MULTICAST)
