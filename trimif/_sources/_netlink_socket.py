"""The two rtnetlink sockets of the netlink source: one that hears events, one that asks for dumps.

Both are non-blocking standard library sockets, waited for with :func:`trio.lowlevel.wait_readable`: one wake-up then
reads many datagrams. What did not come from the kernel (port id 0) is dropped here: a privileged process may send
datagrams to anyone's netlink socket.
"""

from __future__ import annotations

import contextlib
import socket

import trio

__all__ = ["DATAGRAM_OCTETS", "open_socket", "receive_datagram", "receive_nowait", "subscribe"]

DATAGRAM_OCTETS = 65536
"""Longer than any datagram of rtnetlink: the kernel cuts dumps at 32 KiB."""

SO_RCVBUFFORCE = 33
SOL_NETLINK = 270
NETLINK_GET_STRICT_CHK = 12

RTMGRP_LINK = 1 << 0
RTMGRP_IPV4_IFADDR = 1 << 4
RTMGRP_IPV4_ROUTE = 1 << 6
RTMGRP_IPV6_IFADDR = 1 << 8
RTMGRP_IPV6_ROUTE = 1 << 10
RTMGRP_ND_USEROPT = 1 << 19
EVERY_GROUP = (
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE | RTMGRP_ND_USEROPT
)


def open_socket(groups: int = 0) -> socket.socket:
    """Open an rtnetlink socket in the network namespace of the calling thread. The caller closes it."""
    opened = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        with contextlib.suppress(OSError):  # before Linux 4.20: dumps are not filtered then, only longer
            opened.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        opened.bind((0, groups))
    except BaseException:
        opened.close()
        raise
    return opened


def subscribe(receive_buffer: int) -> socket.socket:
    """Open a socket that hears of every change of links, addresses and routes, and router advertisements' options.

    The caller closes it.

    Args:
        receive_buffer: in octets, as the kernel counts them; it grants what it allows (``net.core.rmem_max``) unless
            the process has CAP_NET_ADMIN.
    """
    opened = open_socket(EVERY_GROUP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    except BaseException:
        opened.close()
        raise
    return opened


def receive_nowait(opened: socket.socket) -> bytes | None:
    """The next datagram: None if there is none now, an empty one if it did not come from the kernel.

    Raises:
        OSError: ENOBUFS when the kernel had no room for some; those that it kept can be read on.
    """
    try:
        datagram, (port, _groups) = opened.recvfrom(DATAGRAM_OCTETS)
    except BlockingIOError:
        return None
    return datagram if port == 0 else b""


async def receive_datagram(opened: socket.socket) -> bytes:
    """Wait for the next datagram; otherwise as :func:`receive_nowait`. Cancelled, it has read nothing."""
    while True:
        await trio.lowlevel.wait_readable(opened)
        datagram = receive_nowait(opened)
        if datagram is not None:
            return datagram
